"""Decoding of sound tracks: their choice, resampling, mixing and filtering."""
