"""What is measured, a module each: rivals side by side in one run, since machines differ and are noisy.

A bench prints figures and judges nothing; that something is right is the tests' business. `scripts/bench` runs them.
"""
