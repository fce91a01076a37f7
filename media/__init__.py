"""Media work in child processes: probe, plan, split and gaze. This module imports nothing on purpose."""
