"""Fixtures and classes that tests of several packages share."""
