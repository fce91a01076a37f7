"""Gaze correction: the speaker's eyes are measured, turned to the lens and drawn again, in the decoder's own planes.

Nothing is imported here: the landmark engine costs memory and time, and only a child process should pay for it.
"""
