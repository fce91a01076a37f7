"""Receiving a video: the multipart body, its options, and its file on disk."""
