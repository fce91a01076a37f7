"""The next step after each error: one sentence for the person who sees it, by our own code.

The cause is in the error's `detail`. Codes of platforms are listed in docs/publishing-errors.md; the others are those
that the product itself gives to a publication or to an account. A test keeps the table complete.
"""

from __future__ import annotations

from collections.abc import Mapping

_WAIT = "Nothing to do: VidProd tries again by itself."
_ASK = "Nothing to do: VidProd asks the platform what happened before it repeats anything."
_CONNECT = "Connect the account again; its posts then go on by themselves."
_WORDS = "Upload the video again with a shorter or plainer title and caption."
_LOOK = "Look at the account in the platform's app, and tell VidProd whether the post is there."
_SETTLE = "Follow the notices in the platform's app until the account may post again, then connect it again and retry."
_RETRY = "Retry the post; if it fails again, publish this part by hand."
_HAND = "Download this part and publish it by hand, or skip it."
_OPERATOR = "Ask whoever runs this server to correct the settings of the app at the platform; posts wait until then."
_LIMIT = "Nothing to do: the post goes out when the platform's limit has passed."

NEXT_STEPS: Mapping[str, str] = {
    # The post itself
    "caption_too_long": "Shorten the caption of the post, then retry.",
    "title_too_long": "Shorten the title of the post, then retry.",
    "title_missing": "Give the post a title, then retry.",
    "text_unusable": "Take these characters out of the title and the caption of the post, then retry.",
    "text_refused": "Choose other words for the title and the caption of the post, then retry.",
    "too_many_hashtags": "Take hashtags out of the caption of the post, then retry.",
    "too_many_mentions": "Take mentions out of the caption of the post, then retry.",
    "invalid_post": _WORDS,
    "refused": "See the platform's code and words, correct what they name, and retry; or publish this part by hand.",
    "forbidden": "Check in YouTube Studio that the channel may upload videos, then retry.",
    "privacy_refused": "Allow this privacy in the platform's app, or choose another one for the post; then retry.",
    "options_refused": "Choose other options for the post, then retry.",
    "option_missing": "Choose the missing options for the post, then retry.",
    "spam_suspected": "Wait a day, check that the post looks like no other, and retry.",
    "duplicate": "Look at the channel: if the video is there, skip this post; if not, publish the part by hand.",
    "video_too_large": _HAND,
    "video_too_long": "Upload the video again with shorter parts, or skip this part.",
    "video_too_short": "Skip this part: the platform does not take videos that are so short.",
    "video_refused": "Read the platform's notice in its app; appeal there, publish this part by hand, or skip it.",
    "video_changed": "Retry the job, so that the part is made again.",
    "video_missing": "Retry the job, so that the part is made again; if its files are deleted, upload the video again.",
    "media_url_missing": "Set PUBLIC_URL to this server's public address, or connect through Facebook; then retry.",
    # The platform could not
    "processing_failed": _RETRY,
    "upload_refused": _RETRY,
    "upload_unanswered": _RETRY,
    "publish_refused": _RETRY,
    "session_lost": "Look at the channel: if the video is not there, retry the post.",
    "cancelled": "Retry the post if it was cancelled by mistake.",
    "job_failed": _WAIT,
    "container_lost": _WAIT,
    "not_ready": _WAIT,
    "object_hidden": _ASK,
    "answer_lost": _ASK,
    "platform_down": _WAIT,
    "login_down": _WAIT,
    "try_again": _WAIT,
    "unreachable": "Nothing to do if the network comes back; otherwise check the connection of this server.",
    # Limits
    "post_limit": _LIMIT,
    "rate_limit": _LIMIT,
    "quota": _LIMIT,
    "app_user_cap": _LIMIT,
    "draft_limit": "Open the TikTok app, and finish or delete the drafts that wait there.",
    # The account
    "token_expired": _CONNECT,
    "token_dead": _CONNECT,
    "grant_dead": _CONNECT,
    "no_refresh_token": _CONNECT,
    "login_refused": _CONNECT,
    "not_connected": _CONNECT,
    "reconnect_needed": _CONNECT,
    "authorization_removed": "Connect the account again, then retry the post.",
    "scope_missing": "Connect the account again, and allow everything that the platform asks for.",
    "account_personal": "Switch to a business or creator account in the Instagram app, then connect it again.",
    "no_account": "Link the Instagram account to one of the Facebook pages, then connect it again.",
    "no_channel": "Create a YouTube channel with this Google account, then connect it again.",
    "account_closed": _SETTLE,
    "account_banned": _SETTLE,
    "account_restricted": _SETTLE,
    "account_refused": _SETTLE,
    "action_blocked": _SETTLE,
    "policy_block": _SETTLE,
    "account_disconnected": "Connect the account again, and upload the video again for what is missing.",
    # The registration of the app
    "api_disabled": _OPERATOR,
    "api_outdated": "Ask whoever runs this server to update VidProd; posts wait until then.",
    "app_misconfigured": _OPERATOR,
    "app_not_allowed": _OPERATOR,
    "app_not_audited": _OPERATOR,
    "app_unknown": _OPERATOR,
    "foreign_address": _OPERATOR,
    "login_misconfigured": _OPERATOR,
    "not_configured": _OPERATOR,
    # Nobody knows
    "other_account": _LOOK,
    "processing_endless": _LOOK,
    "publish_id_forgotten": _LOOK,
    "publish_unanswered": _LOOK,
    "several_matches": _LOOK,
    "step_unknown": _LOOK,
    "wrong_key": _LOOK,
    "database_older": _LOOK,
    "gave_up": _LOOK,
    # VidProd itself
    "held": "Retry the part that was not published, or skip it; the parts after it then go on.",
    "part_failed": "Retry the job, so that the part is made again.",
    "file_missing": "Retry the job, so that the part is made again; if its files are deleted, upload the video again.",
    "expired": "Retry the post if it should still go out.",
    "platform_paused": _WAIT,
}


def next_step(code: str | None) -> str:
    """Return the next step after an error; for a code that nobody listed, to try again."""
    return NEXT_STEPS.get(code or "", _RETRY)
