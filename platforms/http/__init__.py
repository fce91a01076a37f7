"""Outgoing HTTP: one client under limits, connections, and the addresses that are allowed."""
