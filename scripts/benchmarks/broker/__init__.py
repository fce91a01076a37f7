"""The parts of `scripts/bench broker`: who competes, what their processes run, how it is measured and shown."""
