"""The checks of `scripts/doctor`: each yields findings and changes nothing, on a machine that runs or is stopped."""
