"""Several videos, one after the other, and files that a later page opens by itself: the page against the real API."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from actors.recovery.lost_found import SOURCE
from api.context import Context
from store import jobs
from store.owners import DEFAULT_OWNER
from tests.api.conftest import KEY, VIDEO, clock, context
from tests.frontend.browser import DESKTOP, PHONE, Browser, Screen
from tests.frontend.network import Network
from tests.frontend.uploading import (
    SLOW_BYTES_PER_S,
    assert_arrived_once,
    between,
    choose,
    clip,
    kept,
    page,
    quicken,
    records,
    run,
    share,
    stored,
    until_begun,
)

__all__ = ["between", "clip", "clock", "context", "page"]  # fixtures

SCREENS = pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Three videos of 3 MB."""
    paths = [tmp_path / f"{name}.mp4" for name in ("one", "two", "three")]
    for seed, path in enumerate(paths):
        path.write_bytes(VIDEO + random.Random(seed).randbytes(3_000_000))
    return paths


def choose_all(window: Browser, paths: list[Path]) -> None:
    element = "\n".join(str(path) for path in paths)  # WebDriver's form of several files
    window.choose_file("#file", Path(element))


def uploaded(context: Context) -> dict[str, bytes]:
    """Return the bytes of each job's file by the job's title."""
    with context.store.reading() as connection:
        found = jobs.page(connection, DEFAULT_OWNER, limit=9)
    return {job.title or "": (context.settings.uploads_dir / job.id / SOURCE).read_bytes() for job in found}


def titles(window: Browser, *words: str) -> None:
    for number, text in enumerate(words, 1):
        if text:
            window.fill(f"#queue li:nth-child({number}) input", text)


@SCREENS
def test_a_refused_video_and_a_cut_line_do_not_stop_the_others(
    page: Browser, between: Network, context: Context, clips: list[Path], screen: Screen
) -> None:
    page.show_on(screen)
    clips[1].write_bytes(b"%PDF-1.7" + bytes(2_000_000))
    between.cut_every_bytes = 700_000
    choose_all(page, clips)
    page.until_text("#chosen-name", "3 videos")
    page.until("the refusal", lambda: page.visible("#queue .field-error"))
    titles(page, "First", "", "Third")
    page.click("#upload-start")
    page.until("both jobs", lambda: len(uploaded(context)) == 2, 60)
    assert uploaded(context) == {"First": clips[0].read_bytes(), "Third": clips[2].read_bytes()}
    assert between.cuts >= 6
    page.until("the end", lambda: len(records(page)) == 1)
    assert "video" in page.text("#queue .field-error")
    page.click("#queue [data-remove]")
    page.until("the removal", lambda: records(page) == [])
    assert len(list(context.settings.uploads_dir.iterdir())) == 2


@SCREENS
def test_after_a_reload_all_are_chosen_again_at_once_and_only_missing_bytes_are_sent(
    page: Browser, between: Network, context: Context, clips: list[Path], screen: Screen
) -> None:
    page.show_on(screen).upload_at(SLOW_BYTES_PER_S // 3)
    choose_all(page, clips)
    titles(page, "First", "Second", "Third")
    page.click("#upload-start")
    page.until_text("#starting", "Each video will be started when its upload is complete")
    page.until("a third", lambda: share(page) > 0.3)
    page.open("about:blank").upload_at(-1)
    page.open(between.url).until_text("#chosen-name", "3 uploads are not complete")
    before = share(page)
    between.passed_bytes = 0
    choose_all(page, clips[::-1])
    page.until("all jobs", lambda: len(uploaded(context)) == 3, 60)
    assert uploaded(context) == dict(
        zip(("First", "Second", "Third"), (one.read_bytes() for one in clips), strict=True)
    )
    assert between.passed_bytes < 3_000_000 * (3 - before) + 400_000
    assert records(page) == []


def test_a_waiting_video_can_be_removed(page: Browser, context: Context, clips: list[Path]) -> None:
    page.upload_at(SLOW_BYTES_PER_S // 4)
    choose_all(page, clips[:2])
    page.until_text("#queue", "waiting")
    page.click("#queue li:nth-child(2) [data-remove]")
    page.until_text("#chosen-name", "one.mp4")
    assert not page.visible("#queue")
    page.upload_at(-1)
    page.fill("#title", "First")
    page.click("#upload-start")
    page.until_text("#job-title", "First")
    assert list(uploaded(context)) == ["First"]


def test_cancelling_the_running_one_goes_on_with_the_next(page: Browser, context: Context, clips: list[Path]) -> None:
    page.upload_at(SLOW_BYTES_PER_S // 3)
    choose_all(page, clips[:2])
    titles(page, "First", "Second")
    page.click("#upload-start")
    until_begun(page)
    page.click("#upload-cancel")
    page.click("#question-yes")
    page.upload_at(-1)
    page.until("the job", lambda: "Second" in uploaded(context))
    assert list(uploaded(context)) == ["Second"]
    page.until("the deletion", lambda: len(list(context.settings.uploads_dir.iterdir())) == 1)


def test_a_sign_out_removes_unfinished_uploads_and_their_traces(
    page: Browser, between: Network, context: Context, clips: list[Path]
) -> None:
    """Whoever signs out may leave the browser to somebody else: no name, no caption, no byte stays."""
    page.upload_at(SLOW_BYTES_PER_S // 4)
    choose_all(page, clips[:2])
    page.until("some bytes", lambda: share(page) > 0.1)
    page.click("nav a[href='/settings']")
    page.click("#sign-out")
    page.click("#question-no")
    assert len(records(page)) == 2
    page.click("#sign-out")
    page.click("#question-yes")
    page.find("#key")
    assert (records(page), kept(page)) == ([], 0)
    page.until("the deletion", lambda: list(context.settings.uploads_dir.iterdir()) == [])
    page.upload_at(-1)
    page.fill("#key", KEY)
    page.click("#sign-in button")
    page.click("nav a[href='/new']")
    page.until_text("#file-label", "Choose video")
    assert not page.visible("#sending")


WRITE = """
    const root = await navigator.storage.getDirectory();
    const handle = await root.getFileHandle('talk.mp4', { create: true });
    const stream = await handle.createWritable();
    await stream.write(await document.querySelector('#to-write').files[0].arrayBuffer());
    await stream.close();
    window.showOpenFilePicker = async () => [await root.getFileHandle('talk.mp4')];
"""
ASKS = """
    const proto = FileSystemFileHandle.prototype;
    let answer = 'prompt';
    proto.queryPermission = async () => answer;
    proto.requestPermission = async () => {
      answer = navigator.userActivation.isActive ? 'granted' : 'denied';
      return answer;
    };
"""
"""Headless browsers show no question, so its answer is put here; a handle needs a tap, which is checked."""


def pick(window: Browser, clip: Path) -> None:
    """Choose a file in the picker that gives handles: a real handle, of the browser's own file system."""
    window.run(
        """
        const input = document.createElement('input');
        input.id = 'to-write';
        input.type = 'file';
        document.body.append(input);
        """
    )
    window.choose_file("#to-write", clip)
    run(window, WRITE)
    window.click("#file-label")
    window.until_text("#chosen-name", "talk.mp4")


def test_a_file_from_the_picker_goes_on_after_a_reload_without_being_chosen(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    page.upload_at(SLOW_BYTES_PER_S)
    pick(page, clip)
    page.fill("#title", "Once only")
    page.click("#upload-start")
    until_begun(page)
    before = share(page)
    page.open("about:blank").upload_at(-1)
    between.passed_bytes = 0
    page.open(between.url)
    assert_arrived_once(page, context, clip)
    assert between.passed_bytes < clip.stat().st_size * (1 - before) + 200_000
    page.until("the deletion", lambda: kept(page) == 0)


def test_a_browser_that_has_to_ask_needs_one_tap(page: Browser, between: Network, context: Context, clip: Path) -> None:
    page.upload_at(SLOW_BYTES_PER_S)
    pick(page, clip)
    page.fill("#title", "Once only")
    page.click("#upload-start")
    until_begun(page)
    script = page.devtools("Page.addScriptToEvaluateOnNewDocument", source=ASKS)
    page.open("about:blank").upload_at(-1)
    page.open(between.url).until_text("#chosen-name", "% is here")
    page.until_text("#drop-facts", "Press Continue, and the upload goes on.")
    page.click("#upload-continue")
    assert_arrived_once(page, context, clip)
    page.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_a_question_without_an_answer_does_not_hold_the_upload(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    """The request that asks how much has arrived is given up at once when the network is another one."""
    quicken(page, ask=600_000, stall=600_000)
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    until_begun(page)
    page.click("#upload-pause")
    page.until_text("#sending-title", "Paused at")
    page.upload_at(-1)
    between.silence(True)
    page.click("#upload-resume")
    page.until_text("#sending-facts", "Asking the server how much has arrived")
    page.wait(1)  # longer than `suspicious`
    page.run("window.dispatchEvent(new Event('online'))")
    page.until_text("#sending-title", "The connection was lost")
    between.silence(False)
    page.click("#upload-start")
    assert_arrived_once(page, context, clip)
    assert stored(page) is None
