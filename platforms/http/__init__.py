"""Outgoing HTTP: the client with its limits, its connections, and the addresses that may be called."""
