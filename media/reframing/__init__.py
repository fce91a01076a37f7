"""Reframing a landscape picture for a vertical screen."""
