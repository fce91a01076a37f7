"""Ports that a process gets still are free when it listens."""

from __future__ import annotations

import socket
from pathlib import Path

from scripts.local.ports import PORTS, free_ports


def test_no_port_is_given_twice_or_is_one_of_the_kernel() -> None:
    ports = free_ports(50) + free_ports(50)
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(ports)) == 100
    assert set(ports) <= set(PORTS)
    assert max(PORTS) < lowest


def test_a_port_in_use_is_left_out() -> None:
    count = len(PORTS)
    with socket.socket() as used:
        used.bind(("127.0.0.1", free_ports(1)[0]))
        used.listen()
        assert used.getsockname()[1] not in free_ports(count - 500)
