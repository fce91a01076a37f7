"""Choosing the cut points of a video: pauses in speech and changes of scene."""
