"""Measures the whole machine in a control group: memory, page faults and CPU, idle and while it renders."""
