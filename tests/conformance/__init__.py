"""Dramatiq's own test suite, run against the broker of this project. Nothing of that suite is kept here."""
