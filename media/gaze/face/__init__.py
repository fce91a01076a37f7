"""Faces in a frame: detection, landmarks, tracking, and the choice of the speakers."""
