"""Runs Dramatiq's own test suite with this project's broker; the suite itself is not part of the project.

__main__     the command `scripts/conformance`
plugin       the pytest plugin of a run: fixtures and summary
stand_ins    this project's broker under the names of Dramatiq's brokers
databases    SQLite's files or PostgreSQL's databases, one a test
import_hook  replaces the modules of Dramatiq's brokers in every process
selection    excluded tests and known failures, with reasons
"""
