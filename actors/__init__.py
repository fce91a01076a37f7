"""The shift plan: every message's way through the house.

                    POST /upload
                         │  intake.accept: job + event + message
                         ▼
    media      split ──── child: media.plan ── probe, cut points, the speaker's zero
                 │  segments, publications (waiting), one message a part
                 │  a failed child, here and below: a delayed message retries with less (retrying)
                 ▼
    media      gaze ───── child: media.gaze ── decode, turn the eyes, encode: one pass, one file
                 │  segment ready ── settling.settle (the join) ── turns.release (whose turn)
                 │                                                       ▲
                 ▼                                                       │ each minute
    network    publish_tiktok · publish_instagram · publish_youtube      open_windows    ticks
                 │  one short step a message; recorded before and after
                 │  publication over ── settling.settle ── turns.release
                 ▼
    network    delete_files                    cleanup · reap                            ticks
                                                 what was missed, what is stuck

    network    refresh_token                   refresh_tokens                               ticks
    network    dispatch_webhook: every change of state above writes an event in its own transaction

Queues are at the left. An actor is a guard on state, the work, then one transaction that records the outcome and sends
what follows from it (`wiring`). Every actor may run twice. To follow one video, read split, gaze, publishing, settling.
"""

from actors import (
    cleanup,
    dispatch_webhook,
    gaze,
    open_windows,
    publish_instagram,
    publish_tiktok,
    publish_youtube,
    reap,
    refresh_tokens,
    split,
)

__all__ = [
    "cleanup",
    "dispatch_webhook",
    "gaze",
    "open_windows",
    "publish_instagram",
    "publish_tiktok",
    "publish_youtube",
    "reap",
    "refresh_tokens",
    "split",
]
