"""The page's upload against the real API, over a network and a browser that fail in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from actors.recovery.lost_found import INCOMING, SOURCE
from api.context import Context
from tests.api.conftest import AUTH, KEY, clock, connect, context
from tests.frontend.browser import Browser
from tests.frontend.network import Network
from tests.frontend.uploading import (
    SIZE,
    SLOW_BYTES_PER_S,
    assert_arrived_once,
    between,
    change,
    choose,
    clip,
    only_job,
    page,
    quicken,
    share,
    stored,
    until_begun,
)

__all__ = ["between", "clip", "clock", "context", "page"]  # fixtures


def test_a_video_arrives_over_a_line_that_is_cut_all_the_time(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    """The bytes before a cut are kept: a line that never carries a whole piece still delivers the video."""
    clip.write_bytes(clip.read_bytes()[:4_000_000])
    between.cut_every_bytes = 350_000
    choose(page, clip)
    page.click("#upload-start")
    assert_arrived_once(page, context, clip)
    assert between.cuts >= 4_000_000 // 350_000 - 1


def test_a_silent_connection_is_given_up_and_told(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    quicken(page, stall=6000)
    change(page, "sending.js", "TIMES", {"quiet": 1000})
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    until_begun(page)
    between.silence(True)
    page.until_text("#sending-title", "No connection at the moment")
    page.until_text("#sending-facts", "Nothing has moved for 1 s.")
    page.until_text("#sending-title", "The connection was lost at")
    page.upload_at(-1)
    between.silence(False)
    page.click("#upload-start")
    assert_arrived_once(page, context, clip)


def test_a_video_whose_answer_got_lost_is_one_video(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    choose(page, clip)
    page.until_text("#sending-title", "The video is here")
    between.breaks_at = b"HTTP/1.1 204"
    page.click("#upload-start")
    page.until_text("#sending-title", "The connection was lost")
    assert between.broken
    job = only_job(context)
    between.breaks_at, between.broken = None, False
    assert_arrived_once(page, context, clip)
    assert only_job(context).id == job.id


def test_an_answer_that_got_lost_with_the_page_is_found_by_the_next_page(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    choose(page, clip)
    page.until_text("#sending-title", "The video is here")
    between.breaks_at = b"HTTP/1.1 204"
    page.click("#upload-start")
    page.until_text("#sending-title", "The connection was lost")
    page.open("about:blank")
    between.breaks_at, between.broken = None, False
    page.open(between.url)
    assert_arrived_once(page, context, clip)


def test_a_piece_that_is_refused_at_its_head_is_sent_from_where_the_server_is(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    """Another request has moved the offset; the server says so while the browser is sending."""
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    until_begun(page)
    page.click("#upload-pause")
    page.until_text("#sending-title", "Paused at")
    record = stored(page)
    assert record is not None
    address, headers = between.url.rstrip("/") + record["address"], {**AUTH, "Tus-Resumable": "1.0.0"}
    with requests.Session() as http:
        http.trust_env = False
        offset = int(http.head(address, headers=headers, timeout=10).headers["Upload-Offset"])
        page.click("#upload-resume")
        page.until("the next piece", lambda: page.run("return document.querySelector('#sending-progress').value") > 0.2)
        body = clip.read_bytes()
        offset = int(http.head(address, headers=headers, timeout=10).headers["Upload-Offset"])
        sent = {**headers, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        answer = http.patch(address, headers=sent, data=body[offset : offset + 1000], timeout=10)
    assert answer.status_code in {204, 409}  # 409: the page was quicker
    page.upload_at(-1)
    page.click("#upload-start")
    assert_arrived_once(page, context, clip)


def test_without_a_connection_it_waits_and_goes_on_at_once_when_it_is_back(
    page: Browser, context: Context, clip: Path
) -> None:
    quicken(page, firstWait=600_000, longestWait=600_000)
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    until_begun(page)
    page.offline(True)
    page.until_text("#sending-title", "You are offline at")
    page.until_text("#sending-facts", "Trying again in")
    page.offline(False)
    page.click("#upload-start")
    assert_arrived_once(page, context, clip)


def test_a_reload_in_the_middle_costs_one_choice_and_no_byte(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    """The form is as it was, and what was asked for happens without another press."""
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    page.fill("#caption", "Calm, with ümlauts")
    page.click("#upload-start")
    page.until_text("#starting", "will be started when the upload is complete")
    until_begun(page)
    page.open("about:blank")
    page.upload_at(-1)
    page.open(between.url)
    page.until_text("#chosen-name", "talk.mp4, ")
    page.until_text("#chosen-name", "% is here")
    between.passed_bytes = 0
    before = share(page)
    page.choose_file("#file", clip)
    assert_arrived_once(page, context, clip)
    assert only_job(context).caption == "Calm, with ümlauts"
    assert before > 0.1
    assert between.passed_bytes < SIZE * (1 - before) + 100_000


def test_another_file_is_told_apart_from_the_unfinished_one(
    page: Browser, between: Network, context: Context, clip: Path, tmp_path: Path
) -> None:
    """Equal size and equal name do not make it the same video."""
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip, title="First")
    until_begun(page)
    page.open("about:blank").upload_at(-1)
    page.open(between.url).until_text("#chosen-name", "% is here")
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "talk.mp4"
    other.write_bytes(clip.read_bytes()[:-1] + b"?")
    page.choose_file("#file", other)
    page.until_text("#file-error", "is another video than “talk.mp4”")
    page.click("#upload-instead")
    page.until_text("#sending-title", "The video is here")
    page.run("document.querySelector('#title').value = ''")
    page.fill("#title", "Second")
    page.click("#upload-start")
    assert_arrived_once(page, context, other, "Second")


def test_an_unfinished_upload_can_be_discarded(page: Browser, between: Network, context: Context, clip: Path) -> None:
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    until_begun(page)
    page.open("about:blank").upload_at(-1)
    page.open(between.url).click("#upload-discard")
    page.until("the deletion", lambda: list(context.settings.uploads_dir.iterdir()) == [])
    assert stored(page) is None
    assert "Choose video" in page.text("#file-label")


def test_a_complete_video_waits_for_its_form_without_its_file(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    """After a reload the file is needed for its bytes only, and they are at the server."""
    choose(page, clip)
    page.until_text("#sending-title", "The video is here")
    page.open("about:blank").open(between.url)
    page.until_text("#sending-title", "The video is here")
    assert page.run("return document.querySelector('#title').value") == "Once only"
    page.click("#upload-start")
    assert_arrived_once(page, context, clip)


def test_a_pause_sends_nothing_and_cancelling_removes_what_arrived(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    until_begun(page)
    page.click("#upload-pause")
    page.until_text("#sending-title", "Paused at")
    page.wait(0.5)
    before = between.passed_bytes
    page.wait(1)
    assert between.passed_bytes == before
    page.click("#upload-cancel")
    page.click("#question-yes")
    page.until("the deletion", lambda: list(context.settings.uploads_dir.iterdir()) == [])
    assert not page.visible("#sending")
    assert page.run("return document.querySelector('#title').value") == "Once only"


def test_a_session_that_ends_in_the_middle_costs_only_the_sign_in(page: Browser, context: Context, clip: Path) -> None:
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    page.click("#upload-start")
    until_begun(page)
    page.devtools("Network.clearBrowserCookies")
    page.fill("#key", KEY)
    page.upload_at(-1)
    page.click("#sign-in button")
    assert_arrived_once(page, context, clip)


def test_an_upload_that_the_server_has_deleted_begins_anew(page: Browser, context: Context, clip: Path) -> None:
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    until_begun(page)
    page.click("#upload-pause")
    page.until_text("#sending-title", "Paused at")
    [incoming] = context.settings.uploads_dir.glob(f"*/{INCOMING}")
    incoming.unlink()
    page.click("#upload-resume")
    page.until_text("#sending-facts", "Starting again from the beginning")
    page.upload_at(-1)
    page.click("#upload-start")
    page.until_text("#job-title", "Once only")
    job = only_job(context)
    assert job.id != incoming.parent.name
    assert (context.settings.uploads_dir / job.id / SOURCE).read_bytes() == clip.read_bytes()


def test_an_upload_that_expired_between_two_pages_says_so(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    until_begun(page)
    page.open("about:blank").upload_at(-1)
    [incoming] = context.settings.uploads_dir.glob(f"*/{INCOMING}")
    incoming.unlink()
    page.open(between.url).until_text("#file-error", "It was not complete within a day")
    page.choose_file("#file", clip)
    page.click("#upload-start")
    page.until_text("#job-title", "Once only")
    assert (context.settings.uploads_dir / only_job(context).id / SOURCE).read_bytes() == clip.read_bytes()


def test_a_file_that_changes_under_the_upload_is_asked_for_again(page: Browser, context: Context, clip: Path) -> None:
    """As phones do with picked photos. The same bytes are then recognised, and the upload goes on."""
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    page.click("#upload-start")
    until_begun(page)
    content = clip.read_bytes()
    clip.write_bytes(content)
    page.until_text("#file-error", "cannot read the video any more")
    page.until_text("#chosen-name", "% is here")
    page.upload_at(-1)
    page.choose_file("#file", clip)
    assert_arrived_once(page, context, clip)


def test_a_refused_option_is_shown_at_its_field_and_costs_no_byte(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    connect(context, "tiktok")
    page.open(between.url).until_text("#platform-choices", "@tiktok-1")
    choose(page, clip)
    page.until_text("#sending-title", "The video is here")
    page.run("document.querySelector('#caption').removeAttribute('maxlength')")
    page.run("document.querySelector('#caption').value = 'x'.repeat(5000)")
    page.click("#upload-start")
    page.until("the refusal", lambda: page.text("#caption-error") != "")
    assert page.run("return document.activeElement.id") == "caption"
    sent = between.passed_bytes
    page.run("document.querySelector('#caption').value = 'Short'")
    page.click("#upload-start")
    assert_arrived_once(page, context, clip)
    assert between.passed_bytes - sent < 50_000
    assert only_job(context).caption == "Short"


def test_a_second_tab_shows_the_upload_and_does_not_start_it_again(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    until_begun(page)
    with page.hidden():
        page.open(between.url).until_text("#drop-facts", "Another tab of this page is uploading it")
        assert not page.visible("#file-label")
        assert not page.visible("#sending")
    page.upload_at(-1)
    page.click("#upload-start")
    assert_arrived_once(page, context, clip)


WITHOUT_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })"


@pytest.mark.parametrize("locks", [True, False], ids=["https", "http"])
def test_the_upload_of_a_closed_tab_is_offered_in_the_other(
    page: Browser, between: Network, context: Context, clip: Path, locks: bool
) -> None:
    """On pages served over http there are no locks; a tab that is silent for seconds counts as closed."""
    if not locks:
        script = page.devtools("Page.addScriptToEvaluateOnNewDocument", source=WITHOUT_LOCKS)
        page.open("about:blank").open(between.url).find("#file-label")
    with page.hidden():
        if not locks:
            page.devtools("Page.addScriptToEvaluateOnNewDocument", source=WITHOUT_LOCKS)
        page.open(between.url).find("#file-label")
        quicken(page)
        page.upload_at(SLOW_BYTES_PER_S)
        choose(page, clip)
        page.click("#upload-start")
        until_begun(page)
    assert page.run("return Boolean(navigator.locks)") is locks
    if not locks:
        page.until_text("#drop-facts", "Another tab of this page is uploading it")
    page.until_text("#chosen-name", "% is here")
    page.choose_file("#file", clip)
    assert_arrived_once(page, context, clip)
    if not locks:
        page.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_a_file_that_is_no_video_is_refused_at_its_first_piece(page: Browser, context: Context, clip: Path) -> None:
    """A refusal in the middle of a request is told, not taken for a broken connection."""
    clip.write_bytes(b"%PDF-1.7" + bytes(SIZE))
    quicken(page, minPiece=5_000_000, maxPiece=5_000_000)
    page.choose_file("#file", clip)
    page.until("the refusal", lambda: page.text("#file-error") != "")
    assert "video" in page.text("#file-error")
    page.until("the removal", lambda: list(context.settings.uploads_dir.iterdir()) == [])
    assert stored(page) is None
