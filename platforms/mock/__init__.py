"""A local server that imitates TikTok, Instagram, Facebook, Google and YouTube, and receives webhooks.

It checks what the real platforms check and keeps everything on disk, so that it can be killed at any moment and started
again on the same directory. This module imports nothing.
"""
