"""The actors, and the messages that they send to each other.

    queue      actor      function, and what follows in the same transaction

                    POST /upload
                         │  job_commands.accept: job, event and message
                         ▼
    media      split ──── planning: child media.plan examines the video and chooses cut points
                 │  creates parts, waiting publications, and one message a part
                 ▼
    media      gaze ───── rendering: child media.gaze decodes, corrects the eyes and encodes one part
                 │  the part is ready, or has failed with its publications
                 │  completion (have all parts ended?) ── scheduling (what is due? start_publications for the rest)
                 ▼
    network    publish_tiktok · publish_instagram · publish_youtube
                 │  publishing: one short step a message, recorded before and after
                 │  the publication is over
                 │  completion (is the job over?) ── holding (after a failure) ── scheduling
                 ▼
    network    delete_files ── retention
    network    refresh_token ── tokens
    network    back_up ── backups

    webhooks        dispatch_webhook ── webhook_delivery: one attempt at an endpoint; sent by every change of state
                      above, which also records an event and its deliveries
    webhooks_slow   dispatch_slow_webhook ── webhook_delivery: the same for endpoints that were slow the last time

    webhooks_slow   send_notice ── notices: composes a notice to the creator; sent by changes that need a person
    webhooks_slow   deliver_notice ── notice_delivery: one attempt at a browser (web push) or an address

    ticks      start_publications ── scheduling: starts an account's next publication    at its time
    ticks      open_windows ── scheduling: the same, for messages that were lost         each minute
    ticks      reap ── stuck_work: resumes or ends work that is past its deadline        each minute
    ticks      cleanup ── retention: ends publications that are open for 60 days, sends  every 5 minutes
                 delete_files, moves files without a record to lost+found
    ticks      schedule_backup ── backups: sends back_up where a backup is due           every 5 minutes
    ticks      refresh_tokens ── tokens: sends refresh_token where tokens are due        every 10 minutes

If a child of `split` or `gaze` fails, its message is delayed and starts another one, up to four attempts in all. The
settings descend (`flow.retrying`). For a part, less_memory means a smaller picture, without_gaze no gaze correction,
least both, and a cheaper encoder. With gaze correction, the settings of the four attempts are:

    out_of_memory                     full, less_memory, without_gaze, least
    deadline_passed, internal_error   full, without_gaze, least, least
    crashed                           full, full, without_gaze, least

A part for which the disk has no room is no failure: it waits, up to a day, with the settings that it had.

If the causes differ, each failure decides about the settings after it. After the last attempt the job (`split`) or the
part with its publications (`gaze`) has failed, and the message is dead-lettered; the other parts continue.

The queue `ticks` is consumed by a thread beside the scheduler. All its messages but `start_publications` are periodic.
Actors are in this package, one file each, except that `ticks` has all periodic ones (`worker` imports it, the API does
not; `wiring` imports all others), `publish` those of all platforms, `dispatch_webhook` both that deliver webhooks, and
`send_notices` those of notices. An actor calls one function of `flow` or `recovery` with `wiring.machine`, which has
the settings, the store and the broker of this process. Each function checks the state, does its work, and records the
outcome together with the messages that follow from it, in one transaction. Every actor may run twice. `recovery`
handles what was lost: work that nobody continues, files without a record in the database, records without files. To
follow one video, read `flow.planning`, `flow.rendering`, `flow.publishing` and `flow.completion`.
"""
