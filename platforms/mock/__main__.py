"""`python -m platforms.mock --port P --directory DIR`: serves the mock platforms on 127.0.0.1 until it is stopped."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from platforms.mock.server import HOST, serve
from platforms.mock.state import MockOptions


def main() -> None:
    """Serve the mock platforms."""
    defaults = MockOptions()
    parser = argparse.ArgumentParser(prog="python -m platforms.mock", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0: any free port; the first line of output names it")
    parser.add_argument("--directory", type=Path, required=True, help="directory for posts, uploads and tokens")
    parser.add_argument(
        "--processing-seconds", type=float, default=defaults.processing_s, help="time until a video is published"
    )
    parser.add_argument("--token-seconds", type=float, default=defaults.access_s, help="lifetime of access tokens")
    parser.add_argument(
        "--draft-done-seconds", type=float, default=None, help="time until a TikTok draft is posted; default: never"
    )
    parser.add_argument(
        "--instagram-quota", type=int, default=defaults.instagram_quota, help="posts an account may publish in 24 hours"
    )
    parser.add_argument("--unaudited", action="store_true", help="private posts only, as for apps without an audit")
    arguments = parser.parse_args()
    options = MockOptions(
        processing_s=arguments.processing_seconds,
        access_s=arguments.token_seconds,
        draft_done_s=arguments.draft_done_seconds,
        unaudited=arguments.unaudited,
        instagram_quota=arguments.instagram_quota,
    )
    server = serve(arguments.port, arguments.directory, options)
    sys.stdout.write(f"http://{HOST}:{server.effective_port}\n")
    sys.stdout.flush()
    server.run()


if __name__ == "__main__":
    main()
