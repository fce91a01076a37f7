"""Examples of bodies by operation, for the OpenAPI document. A test validates each against its schema."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]  # Any: JSON

JOB_ID = "job_5f2c1d0e9b8a47c6a3d2e1f00b9c8d7e"
ACCOUNT_ID = "acc_0a1b2c3d4e5f60718293a4b5c6d7e8f9"
ENDPOINT_ID = "ep_9f8e7d6c5b4a39281706f5e4d3c2b1a0"
DELIVERY_ID = "del_1122334455667788990011223344556f"
PUBLICATION_ID = "pub_aabbccddeeff00112233445566778899"
KEY_ID = "key_00112233445566778899aabbccddeeff"
SUBSCRIPTION_ID = "sub_0123456789abcdef0123456789abcdef"
_AT = "2026-11-22T10:00:00.000Z"
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 (an example)

_STATE: Json = {"job_id": JOB_ID, "status": "publishing"}
_SUMMARY: Json = {
    **_STATE, "phase": "publishing", "progress": 0.83, "next_at": _AT, "last_at": _AT,
    "posts": {"waiting": 4, "published": 1}, "title": "My talk", "original_name": "talk.mp4", "created_at": _AT,
    "review": None,
}  # fmt: skip
_PUBLICATION: Json = {
    "id": PUBLICATION_ID, "platform": "tiktok", "account": "@mara", "account_id": ACCOUNT_ID, "status": "published",
    "link": "https://www.tiktok.com/@mara/video/7300000000000000001", "due_at": _AT, "expected_at": None,
    "waits_for": None, "reason": None, "code": None, "next_step": None, "ended_at": _AT, "attempts": [],
    "held": False, "publish_after": None, "publish_now": False,
    "title": "My talk — Part 1/5", "caption": None, "options": {}, "editable": False, "own_words": None,
}  # fmt: skip
_HISTORY_ENTRY: Json = {
    "at": _AT, "until": None, "times": 1, "kind": "evidence", "step": "poll",
    "text": "TikTok says that the post is online", "method": "POST", "host": "open.tiktokapis.com",
    "path": "/v2/post/publish/status/fetch/", "http_status": 200, "duration_ms": 212,
    "ids": {"publish_id": "v_pub_file~v2-1.123456789", "post_id": "7300000000000000001"},
}  # fmt: skip
_PAYLOAD_STEP: Json = {
    "step": "init", "method": "POST", "url": "https://open.tiktokapis.com/v2/post/publish/inbox/video/init/",
    "headers": {"Authorization": "Bearer [redacted]", "Content-Type": "application/json; charset=UTF-8"},
    "body": {"source_info": {"source": "FILE_UPLOAD", "video_size": 8_123_456, "chunk_size": 8_123_456}},
    "changes": True,
}  # fmt: skip
_SEGMENT: Json = {
    "number": 1, "of": 5, "status": "ready", "progress": 1.0, "start_s": 0.0, "duration_s": 57.4, "cut_reason": "pause",
    "approved": True,
    "gaze": {"corrected": True, "share": 0.91, "reason": None}, "rendering": {"picture": "encoded", "settings": "full"},
    "reason": None, "attempts": [], "retry_at": None, "size_bytes": 8_123_456, "stage_seconds": {"render": 61.2},
    "links": {"cover": f"/jobs/{JOB_ID}/segments/1/cover", "video": f"/jobs/{JOB_ID}/segments/1/video"},
    "publications": [_PUBLICATION],
}  # fmt: skip
_JOB: Json = {
    **_SUMMARY, "all_out_by": _AT, "all_out_reason": None, "caption": "", "part_words": {},
    "platform_words": {"youtube": {"title": "{title}", "caption": None, "options": {"privacy": "unlisted"}}},
    "error": None, "error_code": None, "attempts": [], "retry_at": None, "dry_run": False,
    "warnings": [], "metadata": {"campaign": 7}, "platforms": ["tiktok"], "accounts": None, "size_bytes": 123_456_789,
    "gaze_intensity": 0.8, "segment_seconds": 60.0, "publish_after": None, "held": False, "started_at": _AT,
    "completed_at": None, "source_deleted_at": None, "files_deleted_at": None, "segments": [_SEGMENT],
}  # fmt: skip
_PLAN: Json = {
    "duration_s": 83.2, "frame_rate": "30", "min_part_s": 6, "max_part_s": 60, "gaze_intensity": 0.8,
    "editable": True, "reason": None, "reason_text": None,
    "parts": [
        {"number": 1, "start_s": 0.0, "end_s": 57.4, "cut_reason": "pause", "gaze_intensity": None, "begun": False},
        {"number": 2, "start_s": 57.4, "end_s": 83.2, "cut_reason": "end", "gaze_intensity": 0.0, "begun": False},
    ],
    "pauses": [{"start_s": 57.1, "end_s": 57.7}],
    "peaks": {"per_s": 0.5, "values": "EmT/gAAyZP+AADIyZP+AADIyZP+AADIyZP+AADIyZP+AADIyZP+AAA=="},
}  # fmt: skip
_ACCOUNT: Json = {
    "id": ACCOUNT_ID, "platform": "tiktok", "name": "@mara", "status": "connected", "reason": None,
    "paused_until": None, "after_failure": "hold", "connected_at": _AT, "login_expires_at": None,
}  # fmt: skip
_EXPECTED: Json = {
    "expected_at": _AT, "waits_for": "window", "publication_id": PUBLICATION_ID, "job_id": JOB_ID, "title": "My talk",
    "number": 2, "of": 5, "platform": "tiktok", "account_id": ACCOUNT_ID, "account": "@mara",
}  # fmt: skip
_ENTRY: Json = {
    "publication_id": PUBLICATION_ID, "job_id": JOB_ID, "title": "My talk", "part": 2, "of": 5, "platform": "tiktok",
    "account_id": ACCOUNT_ID, "account": "@mara", "account_zone": "Europe/Berlin", "at": _AT, "status": "waiting",
    "waits_for": "window", "reason": "It waits for the next upload window", "link": None,
}  # fmt: skip
_SCHEDULE: Json = {
    "time_zone": "Europe/Berlin", "windows": [["08:00", "22:30"]], "max_per_day": 10, "min_gap_s": 900.0,
}  # fmt: skip
_SHOWN_SCHEDULE: Json = {**_SCHEDULE, "order": "older videos first; the parts of a video in their order"}
_ENDPOINT: Json = {
    "id": ENDPOINT_ID, "url": "https://hooks.example.com/vidprod", "scope": "all", "events": ["job.completed"],
    "state": "enabled", "disabled_code": None, "disabled_at": None, "failing_since": None, "failures": 0,
    "last_error": None, "attempted_at": None, "paused_until": None, "waiting": 0, "failed": 0, "dropped": 0,
    "missed": {"count": 0, "since": None}, "previous_secret_until": None, "created_at": _AT,
}  # fmt: skip
_DELIVERY: Json = {
    "id": DELIVERY_ID, "event_id": "evt_00112233445566778899aabbccddeeff", "type": "job.completed", "job_id": JOB_ID,
    "created_at": _AT, "status": "delivered", "reason": None, "next_at": None,
    "attempts": [{"at": _AT, "duration_ms": 84, "http_status": 204, "error": None, "excerpt": ""}],
}  # fmt: skip
_LETTER: Json = {
    "id": 7, "queue": "media", "actor": "gaze", "args": [JOB_ID], "error": "OutOfMemory", "attempts": 4,
    "enqueued_at": _AT, "died_at": _AT,
}  # fmt: skip
_NEED: Json = {
    "kind": "outcome_unknown", "id": PUBLICATION_ID, "since": _AT, "code": "answer_lost",
    "reason": "the answer of TikTok was lost", "next_step": "Look at the account in the platform's app.",
    "job_id": JOB_ID, "title": "My talk", "part": 2, "of": 5, "platform": "tiktok", "account_id": ACCOUNT_ID,
    "account": "@mara", "caption": None,
}  # fmt: skip
_VAPID_KEY = "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"
_SUBSCRIPTION: Json = {
    "id": SUBSCRIPTION_ID, "push_service": "push.example.com", "user_agent": "Mozilla/5.0", "state": "enabled",
    "created_at": _AT, "succeeded_at": _AT, "failures": 0, "last_error": None,
}  # fmt: skip

REQUESTS: dict[str, Json] = {
    "upload_video": {"file": "(the bytes of the video)", "title": "My talk", "platforms": "tiktok,youtube"},
    "change_job": {
        "title": "My talk",
        "platforms": {"youtube": {"title": "{title} ({n}/{m})", "options": {"privacy": "unlisted"}}},
        "parts": {"2": {"title": "The hard part"}},
    },
    "change_publication": {"caption": "Part {n} of {m}", "publish_after": _AT, "shift_following": True},
    "approve_job": {"parts": [1]},
    "change_plan": {
        "parts": [{"start_s": 0.0, "end_s": 57.4}, {"start_s": 57.4, "end_s": 83.2, "gaze_intensity": 0.0}],
    },
    "change_account": {"after_failure": "continue"},
    "change_schedules": {"tiktok": _SCHEDULE},
    "change_account_schedule": {"time_zone": "America/New_York", "max_per_day": 3},
    "add_endpoint": {"url": "https://hooks.example.com/vidprod", "events": ["job.completed", "publication.failed"]},
    "create_key": {"name": "laptop"},
    "change_endpoint": {"state": "enabled"},
    "rotate_endpoint_secret": {"overlap_hours": 24},
    "replay_events": {"since": "2026-11-22T10:00:00Z"},
    "add_subscription": {
        "endpoint": "https://push.example.com/send/abc",
        "keys": {"p256dh": _VAPID_KEY, "auth": "BTBZMqHH6r4Tts7J_aSIgg"},
        "public_key": _VAPID_KEY,
    },
    "retry_publication": {"out_of_order": False},
    "resolve_publication": {"published": True, "link": "https://www.tiktok.com/@mara/video/7300000000000000001"},
    "sign_in": {"key": "an-api-key-of-your-server"},
}

RESPONSES: dict[str, Json | str] = {
    "upload_video": {
        "job_id": JOB_ID,
        "status": "pending",
        "status_url": f"/status/{JOB_ID}",
        "all_out_by": _AT,
        "all_out_reason": None,
    },
    "get_job_status": _JOB,
    "change_job": _JOB,
    "change_publication": _PUBLICATION,
    "get_limits": {
        "platforms": {
            "youtube": {
                "name": "YouTube",
                "needs_title": True,
                "limits": [{"of": "title", "unit": "utf16_units", "maximum": 100}],
                "required_options": [],
                "options": {"type": "object"},
            }
        },
        "widest_numbering": " — Part 999/999",
        "placeholders": ["{title}", "{n}", "{m}"],
    },
    "get_plan": _PLAN,
    "get_part_gaze": {
        "per_s": 10.0,
        "angle_before_deg": [11.2, None],
        "angle_after_deg": [1.9, None],
        "strength": [0.8, 0.0],
        "reasons": [{"start_s": 0.1, "end_s": 0.2, "code": "blink"}],
    },
    "change_plan": _PLAN,
    "list_jobs": {"jobs": [_SUMMARY], "next": None},
    "cancel_job": {"job_id": JOB_ID, "status": "cancelled"},
    "retry_job": {**_STATE, "out_of_order": []},
    "approve_job": _STATE,
    "approve_restored_jobs": {"approved": 40, "left": 2},
    "list_accounts": {"accounts": [_ACCOUNT], "next": None, "outages": {}, "max_upload_bytes": 500_000_000},
    "change_account": {**_ACCOUNT, "after_failure": "continue"},
    "get_forecast": {"made_at": _AT, "posts": [_EXPECTED], "next": None},
    "get_calendar": {
        "from": "2026-11-22",
        "to": "2026-11-22",
        "zone": "Europe/Berlin",
        "days": [{"date": "2026-11-22", "entries": [_ENTRY]}],
        "undated": [],
        "truncated": False,
    },
    "get_schedules": {"tiktok": _SHOWN_SCHEDULE},
    "change_schedules": {"tiktok": _SHOWN_SCHEDULE},
    "get_account_schedule": {**_SHOWN_SCHEDULE, "inherited": True, "platform_limit": None},
    "change_account_schedule": {
        **_SHOWN_SCHEDULE,
        "time_zone": "America/New_York",
        "max_per_day": 3,
        "inherited": False,
        "platform_limit": {"posts": 50, "day_zone": None, "others": 2, "read_at": _AT, "reason": None},
    },
    "list_endpoints": {"endpoints": [_ENDPOINT], "next": None},
    "add_endpoint": {**_ENDPOINT, "secret": _SECRET},
    "get_endpoint": _ENDPOINT,
    "change_endpoint": _ENDPOINT,
    "get_endpoint_secret": {"secret": _SECRET},
    "rotate_endpoint_secret": {**_ENDPOINT, "previous_secret_until": "2026-11-23T10:00:00.000Z", "secret": _SECRET},
    "ping_endpoint": {"delivery_id": DELIVERY_ID, "status": "waiting"},
    "replay_events": {"replayed": 3},
    "list_deliveries": {"deliveries": [_DELIVERY], "next": None},
    "redeliver_event": {"id": DELIVERY_ID, "status": "waiting"},
    "list_notice_receivers": {
        "public_key": _VAPID_KEY,
        "subscriptions": [_SUBSCRIPTION],
        "urls": [{"service": "mailto", "last_status": "delivered", "last_at": _AT, "last_error": None}],
    },
    "add_subscription": _SUBSCRIPTION,
    "send_test_notice": {"receivers": 2},
    "list_dead_letters": {"dead_letters": [_LETTER], "next": None},
    "retry_dead_letters": {"retried": [7], "left": []},
    "retry_dead_letter": {"id": 7},
    "get_publication_history": {"publication_id": PUBLICATION_ID, "entries": [_HISTORY_ENTRY], "truncated": False},
    "get_creator": {
        "account_id": ACCOUNT_ID,
        "platform": "tiktok",
        "username": "mara",
        "name": "Mara",
        "avatar_url": "https://p16.example.com/avatar.jpeg",
        "privacies": ["public", "friends", "private"],
        "comment_allowed": True,
        "duet_allowed": False,
        "stitch_allowed": False,
        "max_duration_s": 600,
    },
    "get_job_payloads": {
        "publications": [
            {
                "publication_id": PUBLICATION_ID,
                "part": 1,
                "platform": "tiktok",
                "account": "@mara",
                "steps": [_PAYLOAD_STEP],
                "problems": [],
            }
        ]
    },
    "retry_publication": {"id": PUBLICATION_ID},
    "list_needs": {"items": [_NEED]},
    "list_keys": {
        "keys": [{"id": KEY_ID, "name": "laptop", "created_at": _AT, "sessions": 1, "is_own": True}],
        "unstored": 1,
    },
    "create_key": {"id": KEY_ID, "name": "laptop", "key": "vidprod_5vZ0cM3q8yC1tX2nR7kLwB4dF6gH9jKpQsTuVxYzA0E"},
    "get_settings": {
        "version": "1.4.0",
        "public_url": "https://videos.example.com",
        "review": False,
        "retention_hours": 0.0,
        "keep_pictures_days": 30.0,
        "max_upload_bytes": 500_000_000,
        "segment_seconds": 60.0,
        "gaze_intensity": 0.8,
        "backup_hours": None,
        "logins": {
            "tiktok": [
                {
                    "variant": "tiktok",
                    "is_set_up": True,
                    "redirect_uri": "https://videos.example.com/connect/tiktok/callback",
                    "variables": ["TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET"],
                }
            ]
        },
    },
    "get_health": {"status": "ok", "checks": {"database": {"ok": True, "jobs": 12}}},
    "get_readiness": {"status": "ok", "checks": {"database": {"ok": True, "jobs": 12}}},
    "get_metrics": 'vidprod_jobs{status="completed"} 12\n',
    "get_openapi_document": {"openapi": "3.1.0", "info": {"title": "VidProd"}, "paths": {}},
    "get_page": "<!doctype html>",
    "get_reference": "<!doctype html>",
    "get_manifest": {"name": "VidProd", "start_url": "/"},
    "get_service_worker": "self.addEventListener('fetch', answer);",
}

PROBLEM: Json = {
    "type": "urn:vidprod:problem:not_found", "title": "Not Found", "status": 404, "detail": "job not found",
    "code": "not_found",
}  # fmt: skip
