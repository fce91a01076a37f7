"""Falcon resources, one module for each part of the API."""
