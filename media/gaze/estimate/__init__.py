"""Estimation of gaze from landmarks and pixels; interpolation and smoothing of the estimates over time."""
