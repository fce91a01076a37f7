"""The actors, and the way of a message from one to the next.

                    POST /upload
                         │  job_commands.accept: job, event and message in one transaction
                         ▼
    media      split ──── planning: child media.plan examines the video and chooses cut points
                 │  creates segments, waiting publications, and one message a part
                 │  if a child fails, here and below: a delayed message retries with less memory or time (retrying)
                 ▼
    media      gaze ───── rendering: child media.gaze decodes, corrects the eyes and encodes one part
                 │  the part is ready ── completion (have all parts ended?) ── scheduling (which publication is due?)
                 │                                                                ▲
                 ▼                                                                │ each minute
    network    publish_tiktok · publish_instagram · publish_youtube            open_windows               ticks
                 │  publishing: one short step a message, recorded before and after
                 │  the publication is over ── completion (is the job over?) ── scheduling
                 ▼
    network    delete_files                                                    cleanup · reap             ticks
                                                                               retention · stuck_work

    network    refresh_token                                                   refresh_tokens             ticks
    network    dispatch_webhook: each change of state above records an event in its own transaction

The left column is the queue; actors marked `ticks` run on the queue of that name, in the scheduler's process. `split`
is planning (child `media.plan`), `gaze` is rendering (child `media.gaze`). Actors are in this package, one file each
(`ticks` has all periodic ones); an actor calls one function of `flow` or `recovery` with `wiring.machine`, which has
the settings, the store and the broker of this process. Each function checks the state, does its work, and records the
outcome together with the messages that follow from it, in one transaction. Every actor may run twice. To follow one
video, read `flow.planning`, `flow.rendering`, `flow.publishing` and `flow.completion`.
"""

from actors import (
    delete_files,
    dispatch_webhook,
    gaze,
    publish_instagram,
    publish_tiktok,
    publish_youtube,
    refresh_token,
    split,
    ticks,
)

__all__ = [
    "delete_files",
    "dispatch_webhook",
    "gaze",
    "publish_instagram",
    "publish_tiktok",
    "publish_youtube",
    "refresh_token",
    "split",
    "ticks",
]
