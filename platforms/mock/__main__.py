"""`python -m platforms.mock --port P --directory DIR`: serves the mock platforms on 127.0.0.1 until it is ended."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from platforms.mock.server import HOST, serve
from platforms.mock.world import Rules


def main() -> None:
    """Serve."""
    usual = Rules()
    parser = argparse.ArgumentParser(prog="python -m platforms.mock", description=__doc__)
    parser.add_argument(
        "--port", type=int, required=True, help="0 for any free one; the first line printed tells which"
    )
    parser.add_argument("--directory", type=Path, required=True, help="where posts, uploads and tokens are kept")
    parser.add_argument("--processing-seconds", type=float, default=usual.processing_s)
    parser.add_argument("--token-seconds", type=float, default=usual.access_s, help="life of access tokens")
    parser.add_argument("--draft-done-seconds", type=float, default=None, help="TikTok drafts are posted after so long")
    parser.add_argument("--unaudited", action="store_true", help="only private posts, as for apps that are not audited")
    told = parser.parse_args()
    rules = Rules(
        processing_s=told.processing_seconds,
        access_s=told.token_seconds,
        draft_done_s=told.draft_done_seconds,
        unaudited=told.unaudited,
    )
    server = serve(told.port, told.directory, rules)
    sys.stdout.write(f"http://{HOST}:{server.effective_port}\n")
    sys.stdout.flush()
    server.run()


if __name__ == "__main__":
    main()
