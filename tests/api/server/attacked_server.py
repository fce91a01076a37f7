"""A server process for attacks: `python -m tests.api.server.attacked_server` prints its port, then serves."""

from __future__ import annotations

import sys

from actors import wiring
from api.__main__ import context
from api.server import create_server


def main() -> None:
    """Serve until killed."""
    wiring.machine.store.migrate()
    server = create_server(context(), host="127.0.0.1", port=0)
    sys.stdout.write(f"{server.effective_port}\n")
    sys.stdout.flush()
    server.run()


if __name__ == "__main__":
    main()
