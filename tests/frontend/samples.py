"""Status documents as the API sends them, for a job in each state."""

import base64
from typing import Any

PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 16"><rect width="9" height="16" fill="#789"/></svg>'


def publication(platform: str, status: str, **more: Any) -> dict[str, Any]:
    """Return one part's fate on one platform."""
    account = {"tiktok": "@mara.talks", "instagram": "@mara.talks", "youtube": "Mara Talks"}[platform]
    return {
        "platform": platform,
        "account": account,
        "status": status,
        "link": None,
        "due_at": None,
        "reason": None,
        "editable": "id" in more and status in {"waiting", "failed", "expired", "cancelled"},
        "own_words": None,
        **more,
    }


def published(platform: str, number: int) -> dict[str, Any]:
    """Return a publication that is out."""
    return publication(platform, "published", link=f"https://{platform}.example/mara/{number}")


def segment(number: int, of: int, status: str, **more: Any) -> dict[str, Any]:
    """Return one part; parts last 57.4 s each."""
    return {
        "number": number, "of": of, "status": status, "start_s": (number - 1) * 57.4, "duration_s": 57.4,
        "cut_reason": "end" if number == of else "pause", "gaze": None, "reason": None,
        "progress": 0.0, "links": {}, "publications": [], "approved": False, **more,
    }  # fmt: skip


def links(job_id: str, part: dict[str, Any]) -> dict[str, str]:
    """Return the addresses of a part's files; a part that stays as filmed has nothing to compare."""
    kinds = ("video", "cover", "preview") if part["gaze"] and part["gaze"]["corrected"] else ("video", "cover")
    return {kind: f"/jobs/{job_id}/segments/{part['number']}/{kind}" for kind in kinds}


def corrected(share: float) -> dict[str, Any]:
    """Return the gaze result of a part whose eyes were turned."""
    return {"corrected": True, "share": share, "reason": None}


def kept(reason: str) -> dict[str, Any]:
    """Return the gaze result of a part that stays as filmed."""
    return {"corrected": False, "share": 0.0, "reason": reason}


def job(job_id: str, status: str, progress: float, segments: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a status document; parts that are ready or done have their files."""
    for part in segments:
        if part["status"] in {"ready", "done"}:
            part["links"] = links(job_id, part)
    return {
        "job_id": job_id, "status": status, "progress": progress, "title": "Five habits of calm speakers",
        "created_at": "2026-11-22T10:00:00Z", "error": None, "files_deleted_at": None, "dry_run": False,
        "segments": segments, **more,
    }  # fmt: skip


def processing() -> dict[str, Any]:
    """Two parts ready, one in the works, two waiting."""
    parts = [
        segment(1, 5, "ready", gaze=corrected(0.91), publications=[
            publication("tiktok", "publishing"), publication("instagram", "waiting", due_at="2099-11-22T18:00:00Z"),
            publication("youtube", "waiting", due_at="2099-11-22T18:00:00Z")]),
        segment(2, 5, "ready", gaze=kept("no_face"), cut_reason="scene", rendering={"picture": "copied"}),
        segment(3, 5, "rendering", cut_reason="limit", progress=0.4),
        segment(4, 5, "pending"), segment(5, 5, "pending"),
    ]  # fmt: skip
    return job("job-processing", "processing", 0.47, parts)


def completed() -> dict[str, Any]:
    """Three parts, all out everywhere."""
    platforms = ("tiktok", "instagram", "youtube")
    parts = [
        segment(number, 3, "done", gaze=corrected(share), publications=[published(name, number) for name in platforms])
        for number, share in ((1, 0.91), (2, 0.87), (3, 0.95))
    ]
    return job("job-completed", "completed", 1.0, parts, title="Why I stopped using slides")


def with_errors() -> dict[str, Any]:
    """Parts with every ending that asks something of the creator."""
    parts = [
        segment(1, 2, "done", gaze=corrected(0.62) | {"reason": "head_turned"}, publications=[
            publication("tiktok", "action_needed"), publication("instagram", "outcome_unknown") | {"id": "pub-unknown"},
            published("youtube", 1)]),
        segment(2, 2, "failed", reason="The part could not be rendered, also without eye correction.", publications=[
            publication("tiktok", "failed", reason="part_failed"), publication("instagram", "expired"),
            publication("youtube", "cancelled")]),
    ]  # fmt: skip
    return job(
        "job-errors", "completed_with_errors", 1.0, parts, title="Q&A with the audience, part one of the long evening"
    )


def held() -> dict[str, Any]:
    """Return a job whose second part was not published on TikTok, so that its third part waits."""
    reason = "part 2 was not published: TikTok cannot use this video file. Retry or skip it"
    refused = publication("tiktok", "failed", id="p2", code="video_refused", reason="TikTok cannot use this video file")
    return job("job-held", "publishing", 0.9, [
        segment(1, 3, "done", publications=[published("tiktok", 1), published("youtube", 1)]),
        segment(2, 3, "ready", publications=[refused, published("youtube", 2)]),
        segment(3, 3, "ready", publications=[
            publication("tiktok", "waiting", id="p3", code="held", reason=reason),
            publication("youtube", "waiting", id="p4", code="platform_paused", reason="HTTP 503"),
        ]),
    ])  # fmt: skip


def failed() -> dict[str, Any]:
    """A file that was refused."""
    error = "the video is 16000×16000 pixels; the limit is 8192 on each side"
    return job("job-failed", "failed", 0.0, [], title="huge.mp4", error=error)


def in_review() -> dict[str, Any]:
    """Both parts are ready; nothing goes out before a person says yes, for the sound cannot be read."""
    waiting = [publication("tiktok", "waiting"), publication("youtube", "waiting")]
    parts = [segment(number, 2, "ready", gaze=corrected(0.9), publications=waiting) for number in (1, 2)]
    review = {"reasons": ["sound_unreadable"], "approved_at": None}
    return job("job-review", "review", 0.76, parts, review=review, warnings=["sound_unreadable"])


def retrying() -> dict[str, Any]:
    """One part waits to be tried again, one gave up while it does, one was made with less memory."""
    attempts = [{"outcome": "out_of_memory", "settings": "full"}]
    parts = [
        segment(1, 3, "pending", attempts=attempts, retry_at="2099-11-22T18:00:00Z", reason="rendering failed (x)"),
        segment(2, 3, "failed", attempts=attempts * 4, reason="rendering failed 4 times, at last: out of memory"),
        segment(3, 3, "ready", gaze=corrected(0.9), rendering={"picture": "encoded", "settings": "less_memory"}),
    ]
    return job("job-retrying", "processing", 0.3, parts)


def scheduled() -> dict[str, Any]:
    """All parts are ready; their posts wait for different times and reasons, and one of them for no known time."""
    waits = [
        ("tiktok", "2099-11-26T08:00:00Z", "window"), ("tiktok", "2099-11-26T09:00:00Z", "earlier_part"),
        ("tiktok", "2099-11-27T09:00:00Z", "day_limit"), ("youtube", None, "platform_outage"),
    ]  # fmt: skip
    parts = [
        segment(number, len(waits), "ready", gaze=corrected(0.9), publications=[
            publication(platform, "waiting", id=f"w{number}", expected_at=expected_at, waits_for=code)])
        for number, (platform, expected_at, code) in enumerate(waits, start=1)
    ]  # fmt: skip
    dates = {"phase": "scheduled", "next_at": "2099-11-26T08:00:00Z", "last_at": "2099-11-27T09:00:00Z"}
    return job("job-scheduled", "publishing", 0.92, parts, title="Ten talks in a row", **dates)


def plan(parts: int = 3, part_s: float = 50.0) -> dict[str, Any]:
    """Return the cuts of a video, with a pause two seconds after each cut, and sound that swells in each part."""
    of, peaks = parts * part_s, [(n * 7) % 256 for n in range(int(parts * part_s * 10))]
    return {
        "duration_s": of, "min_part_s": 6, "max_part_s": 60, "editable": True, "reason": None, "reason_text": None,
        "parts": [
            {"number": n + 1, "start_s": n * part_s, "end_s": (n + 1) * part_s, "cut_reason": "pause",
             "gaze_intensity": None, "begun": False}
            for n in range(parts)
        ],
        "pauses": [{"start_s": n * part_s + 1.8, "end_s": n * part_s + 2.2} for n in range(1, parts)],
        "peaks": {"per_s": 10, "values": base64.b64encode(bytes(peaks)).decode()},
    }  # fmt: skip


def uncut(parts: int = 3) -> dict[str, Any]:
    """Return a job whose cuts can still change."""
    made = [
        segment(number, parts, "ready", gaze=corrected(0.9), start_s=(number - 1) * 50.0, duration_s=50.0,
                publications=[publication("tiktok", "waiting", id=f"t{number}")])
        for number in range(1, parts + 1)
    ]  # fmt: skip
    review = {"reasons": ["requested"], "approved_at": None}
    return job("job-cuts", "review", 0.76, made, review=review, source_deleted_at=None, gaze_intensity=0.8)


def in_words(**more: Any) -> dict[str, Any]:
    """Return a job of three parts on two platforms, of which one post has begun."""
    parts = [
        segment(number, 3, "ready", publications=[
            publication("tiktok", "waiting", id=f"t{number}"), publication("youtube", "waiting", id=f"y{number}")])
        for number in (1, 2, 3)
    ]  # fmt: skip
    parts[0]["publications"][0] |= {"status": "publishing", "editable": False}
    for part in parts:
        for post in part["publications"]:
            post |= {"title": f"Five habits — Part {part['number']}/3", "options": {}}
    caption = "Read this #calm #talk"
    return job("job-words", "publishing", 0.8, parts, caption=caption, **more)


def creator(**more: Any) -> dict[str, Any]:
    """Return what TikTok says about a creator who has switched nothing off."""
    return {
        "platform": "tiktok", "username": "mara.talks", "name": "Mara", "avatar_url": None,
        "privacies": ["public", "friends", "followers", "private"], "comment_allowed": True, "duet_allowed": True,
        "stitch_allowed": True, "max_duration_s": 600, **more,
    }  # fmt: skip


def waiting(**more: Any) -> dict[str, Any]:
    """Return a job whose posts can be held and moved."""
    made = scheduled() | more
    for part in made["segments"]:
        part["publications"][0] |= {"account_id": "a1", "held": False, "publish_after": None}
    return made


def history() -> list[dict[str, Any]]:
    """Return the history of a post, from its first request to the evidence that it is out."""
    nothing: dict[str, Any] = {"until": None, "times": 1, "step": None, "method": None, "host": None, "path": None,
               "http_status": None, "duration_ms": None, "ids": {}}  # fmt: skip
    asked = {"method": "POST", "host": "open.tiktokapis.com", "path": "/v2/post/publish/status/fetch/"}
    return [
        nothing | {"at": "2026-11-22T10:00:00Z", "kind": "state", "text": "The turn of this post has come."},
        nothing | asked | {"at": "2026-11-22T10:00:01Z", "until": "2026-11-22T10:04:00Z", "times": 7, "kind": "answer",
                           "text": "TikTok was asked for the state.", "http_status": 200, "duration_ms": 140},
        nothing | asked | {"at": "2026-11-22T10:04:30Z", "kind": "evidence", "text": "TikTok says that it is out.",
                           "http_status": 200, "duration_ms": 132, "ids": {"publish_id": "v_pub_file~v2.7300000000"}},
    ]  # fmt: skip


def gaze() -> dict[str, Any]:
    """Return the gaze of a part over time, with a look at notes in the middle."""
    before = [12.0 + n % 5 for n in range(286)]
    return {
        "per_s": 5, "angle_before_deg": before[:100] + [None] * 20 + before[120:],
        "angle_after_deg": [2.5] * 100 + [None] * 20 + [2.5] * 166, "strength": [0.8] * 286,
        "reasons": [{"start_s": 20.0, "end_s": 24.0, "code": "looks_far_away"}],
    }  # fmt: skip


def long(parts: int = 200) -> dict[str, Any]:
    """A talk of many parts on three platforms: some are out, two need a person, one failed, the others wait."""
    return job("job-long", "publishing", 0.6, [_part_of_long(number, parts) for number in range(1, parts + 1)])


def _part_of_long(number: int, of: int) -> dict[str, Any]:
    platforms = ("tiktok", "instagram", "youtube")
    if number <= 40:
        return segment(number, of, "done", publications=[published(name, number) for name in platforms])
    waiting = [
        publication(
            name, "waiting", id=f"{name}-{number}", expected_at="2099-11-26T08:00:00Z", waits_for="earlier_part"
        )
        for name in platforms
    ]
    if number in {41, 42}:
        waiting[0] |= {"status": "action_needed", "expected_at": None, "waits_for": None}
    if number == 43:
        waiting[0] |= {"status": "failed", "code": "video_refused", "reason": "TikTok cannot use this video file"}
    return segment(number, of, "ready", gaze=corrected(0.9), publications=waiting)


def calendar_entry(
    number: int, at: str | None, status: str, reason: str = "It waits for the next upload window"
) -> dict[str, Any]:
    """Return an entry of the calendar: a part of a video on TikTok."""
    return {
        "publication_id": f"pub_{number}", "job_id": "job-1", "title": "Five habits of calm speakers", "part": number,
        "of": 16, "platform": "tiktok", "account_id": "a1", "account": "@mara.talks", "account_zone": "UTC", "at": at,
        "status": status, "waits_for": "window" if status == "waiting" else None,
        "reason": reason if status == "waiting" else None, "link": None,
    }  # fmt: skip


def need(kind: str, item_id: str, **more: Any) -> dict[str, Any]:
    """Return something that waits for a person, as GET /needs-you lists it."""
    return {
        "kind": kind, "id": item_id, "since": "2026-11-22T10:00:00Z", "code": None, "reason": None, "next_step": None,
        "job_id": None, "title": "", "part": None, "of": None, "platform": None, "account_id": None, "account": None,
        "caption": None, **more,
    }  # fmt: skip


def needs() -> list[dict[str, Any]]:
    """Return something of each kind that waits for a person."""
    post = {"job_id": "job-1", "title": "Five habits of calm speakers", "of": 5}
    mara = {"platform": "tiktok", "account_id": "a1", "account": "@mara.talks"}
    arabic = "\u0647\u062f\u0648\u0621"
    return [
        need("disk", "disk", reason="12 MB are free"),
        need("account", "a1", code="reconnect_needed", reason="the login has expired or was withdrawn", **mara),
        need("account", "a3", code="account_refused", platform="youtube", account_id="a3", account="Mara Talks"),
        need("review", "job-2", code="sound_unreadable", job_id="job-2", title="\U0001f399 Calm in ten minutes"),
        need("review", "job-3", code="restored", job_id="job-3", title=arabic),
        need(
            "outcome_unknown", "p2", code="answer_lost", reason="the answer of TikTok was lost", **post, **mara, part=2,
            next_step="Look at the account in the platform's app, and tell VidProd whether the post is there.",
        ),
        need("draft", "p3", **post, **mara, part=3, caption="Part 3 of 5: breathe.\n#calm #speaking " + arabic),
        need("post_failed", "p4", code="title_too_long", reason="the title has 120 characters", **post, **mara, part=4,
             next_step="Shorten the title of the post, then retry."),
        need("video_failed", "job-4", code="failed", job_id="job-4", title="x" * 90, part=2),
        need("endpoint", "ep_2", code="failing", reason="HTTP 503", title="https://hooks.example.com/" + "x" * 60),
        need("dead_letter", "7", code="dispatch_webhook"),
    ]  # fmt: skip


def settings(*, tiktok_is_set_up: bool = True) -> dict[str, Any]:
    """Return the settings of a server, with or without an app at TikTok."""
    names = {"tiktok": "CLIENT_KEY", "instagram": "CLIENT_ID", "youtube": "CLIENT_ID"}
    return {
        "version": "1.4.0", "public_url": "https://videos.example.com", "review": False, "retention_hours": 0.0,
        "keep_pictures_days": 30.0, "max_upload_bytes": 500_000_000, "segment_seconds": 60.0, "gaze_intensity": 0.8,
        "backup_hours": 24.0,
        "logins": {
            platform: [{
                "variant": platform, "is_set_up": platform != "tiktok" or tiktok_is_set_up,
                "redirect_uri": f"https://videos.example.com/connect/{platform}/callback",
                "variables": [f"{platform.upper()}_{name}", f"{platform.upper()}_CLIENT_SECRET"],
            }]
            for platform, name in names.items()
        },
    }  # fmt: skip


def endpoint(endpoint_id: str, url: str) -> dict[str, Any]:
    """Return a webhook endpoint that is well."""
    return {
        "id": endpoint_id, "url": url, "events": [], "state": "enabled", "disabled_at": None, "disabled_code": None,
        "last_error": None, "missed": {"count": 0, "since": None},
    }  # fmt: skip


def delivery(delivery_id: str, kind: str, status: str, **attempt: Any) -> dict[str, Any]:
    """Return a delivery with one attempt."""
    made = {"at": "2026-11-22T10:00:01Z", "duration_ms": 84, "http_status": 204, "error": None, "excerpt": ""} | attempt
    at = "2026-11-22T10:00:00Z"
    return {"id": delivery_id, "type": kind, "created_at": at, "status": status, "reason": None, "attempts": [made]}


def deliveries() -> list[dict[str, Any]]:
    """Return deliveries in different states."""
    return [
        delivery("d2", "publication.published", "failed", http_status=503),
        delivery("d1", "job.completed", "delivered"),
    ]
