"""The sample clip that the project makes by itself: a real face that mostly reads beside the lens, a voice that pauses.

Nothing is imported here. The eyes are moved by cutting the iris out and pasting it elsewhere, which is not how the
correction works, so the clip can judge it.
"""
