"""Estimation of gaze from landmarks and pixels, one frame at a time."""
