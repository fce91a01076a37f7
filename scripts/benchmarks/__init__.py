"""Benchmarks, one package each; every benchmark measures its candidates side by side in one run.

Machines differ and are noisy, so only figures of one run are compared. A benchmark prints figures and asserts nothing:
correctness belongs to the tests. `scripts/bench` runs them. They are not part of the container image.
"""
