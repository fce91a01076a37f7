"""Faces in a picture: detection, tracking and landmarks."""
