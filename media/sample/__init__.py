"""Generates the sample clip: a real face that mostly reads beside the lens, and a voice with pauses.

Nothing is imported here. The eyes are moved by cutting out the iris and pasting it elsewhere. The gaze correction works
in another way, so the clip can be used to test it.
"""
