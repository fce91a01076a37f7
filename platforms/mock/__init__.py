"""A server on loopback that speaks for TikTok, Instagram, Facebook, Google and YouTube, and takes webhooks.

It checks what the real ones check and keeps everything on disk, so that it may be killed at any moment and started
again on the same directory. Nothing is imported here.
"""
