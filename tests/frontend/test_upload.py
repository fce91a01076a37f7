"""Choosing and sending a video, driven in a real browser."""

from pathlib import Path

import pytest

from tests.frontend.browser import PHONE, Browser
from tests.frontend.stand_in import KEY, StandIn


def choose(page: Browser, api: StandIn, clip: Path) -> None:
    """Open the page and choose the clip; wait until the form can be filled in."""
    page.open(api.url).find("#accounts li")
    page.choose_file("#file", clip)
    page.find("#upload-start")


def test_a_chosen_file_is_uploaded_with_its_fields_and_its_job_is_shown(
    page: Browser, api: StandIn, clip: Path
) -> None:
    """The options are sent before the bytes, under the names of the API."""
    choose(page, api, clip)
    page.fill("#title", "Five habits")
    page.fill("#caption", "Calm speakers do this. #talk")
    page.click("#platform-choices [value=instagram]")
    page.fill("#gaze", "\ue012")  # arrow left: one step of 5 %
    page.click("#upload-start")
    page.until_text("#job-title", "Five habits")
    expected = [
        ("title", "Five habits"), ("caption", "Calm speakers do this. #talk"), ("platforms", "tiktok,youtube"),
        ("gaze_intensity", "0.75"), ("file", ("talk.mp4", 300_000)),
    ]  # fmt: skip
    assert [expected] == [list(upload.items()) for upload in api.uploads]
    assert page.run("return location.hash") == "#job=job-1"


def test_fields_left_empty_are_not_sent(page: Browser, api: StandIn, clip: Path) -> None:
    """The server's own defaults decide where the creator said nothing."""
    api.accounts = []
    choose(page, api, clip)
    page.until_text("#platform-choices", "No account is connected")
    page.click("#upload-start")
    page.find("#view-job h1")
    assert list(api.uploads[0]) == ["gaze_intensity", "file"]


def test_a_dropped_file_is_taken(page: Browser, api: StandIn, clip: Path) -> None:
    page.open(api.url)
    page.drop_file("#drop", clip)
    page.until_text("#chosen-name", "talk.mp4")
    page.find("#upload-start")


def test_a_file_dropped_beside_the_zone_does_not_replace_the_page(page: Browser, api: StandIn, clip: Path) -> None:
    """A careless drop would otherwise end a running upload."""
    page.open(api.url)
    page.drop_file("#home-title", clip)
    assert page.run("return location.href") == api.url
    assert not page.visible("#details")


def test_the_bytes_sent_are_shown_and_an_upload_can_be_cancelled(page: Browser, api: StandIn, clip: Path) -> None:
    """Nothing of a cancelled upload reaches the server, and the form is as it was."""
    clip.write_bytes(bytes(20_000_000))
    choose(page, api, clip)
    page.fill("#title", "Kept")
    page.upload_at(1_000_000)
    page.run(
        "const bar = document.querySelector('#sending-progress');"
        "window.shares = [];"
        "new MutationObserver(() => window.shares.push(bar.value)).observe(bar, { attributes: true });"
    )
    page.click("#upload-start")
    page.until("a tenth of the bytes sent", lambda: page.run("return window.shares.at(-1) > 0.1"))
    assert page.run("return window.shares.some((share) => share > 0 && share < 0.1)")  # it moved, it did not jump
    assert "of 20 MB" in " ".join(page.text("#sending-facts").split())
    assert page.visible("#sending-keep")
    page.click("#upload-cancel")
    page.find("#upload-start")
    assert page.run("return document.querySelector('#title').value") == "Kept"
    assert api.uploads == []


def test_leaving_the_form_shows_the_upload_in_the_head_of_the_page(page: Browser, api: StandIn, clip: Path) -> None:
    """One may look at another video while the first one is on its way."""
    clip.write_bytes(bytes(20_000_000))
    choose(page, api, clip)
    page.upload_at(1_000_000)
    page.click("#upload-start")
    page.find("#sending")
    page.run("location.hash = '#job=unknown'")
    page.until_text("#upload-strip", "Uploading")
    page.upload_at(-1)
    page.until_text("#upload-strip", "Upload complete")
    page.click("#upload-strip")
    page.until("the new job", lambda: page.run("return location.hash") == "#job=job-1")
    page.until_text("#job", "Your video has arrived")
    assert page.refusals() == ["/status/unknown 404"]


def test_a_refused_upload_is_explained_in_the_servers_words(page: Browser, api: StandIn, clip: Path) -> None:
    """Too large stays too large: there is no button to try the same again."""
    api.upload_problem = (413, "The video is too large", "It has 612 MB; the limit is 500 MB")
    choose(page, api, clip)
    page.fill("#title", "Kept")
    page.click("#upload-start")
    page.until_text("#sending-error", "It has 612 MB; the limit is 500 MB.")
    assert not page.visible("#upload-retry")
    page.click("#upload-back")
    page.find("#upload-start")
    assert page.run("return document.querySelector('#title').value") == "Kept"
    assert page.refusals() == ["/upload 413"]


def test_a_session_that_ended_before_the_upload_costs_no_input(page: Browser, api: StandIn, clip: Path) -> None:
    """After signing in again the same video goes out with one press."""
    choose(page, api, clip)
    page.fill("#title", "Kept")
    api.needs_login = True
    page.click("#upload-start")
    page.fill("#key", KEY)
    page.click("#sign-in button")
    page.click("#upload-retry")
    page.until_text("#job-title", "Kept")
    assert [upload["title"] for upload in api.uploads] == ["Kept"]
    assert {refusal.split()[1] for refusal in page.refusals()} == {"401"}


def test_a_passing_trouble_can_be_retried_with_one_press(page: Browser, api: StandIn, clip: Path) -> None:
    api.upload_problem = (503, "Busy", "The server is restarting")
    choose(page, api, clip)
    page.click("#upload-start")
    page.until_text("#sending-error", "The server is restarting.")
    api.upload_problem = None
    page.click("#upload-retry")
    page.find("#view-job h1")
    assert len(api.uploads) == 2
    assert page.refusals() == ["/upload 503"]


def test_a_video_whose_answer_got_lost_is_found_and_not_sent_again(page: Browser, api: StandIn, clip: Path) -> None:
    """A second upload would publish everything twice, so the page asks the list of jobs first."""
    api.lose_upload_answer = True
    choose(page, api, clip)
    page.fill("#title", "Once only")
    page.click("#upload-start")
    page.until_text("#job-title", "Once only")
    assert len(api.uploads) == 1
    assert len(page.complaints()) == 1  # the browser's own line about the broken connection


def test_every_try_of_one_video_has_one_key(page: Browser, api: StandIn, clip: Path) -> None:
    """Where nobody can say whether it arrived, the server must be able to."""
    choose(page, api, clip)
    api.lose_upload_answer = api.lose_jobs = True
    page.fill("#title", "Once only")
    for _ in range(2):
        page.click("#upload-start" if not api.uploads else "#upload-retry")
        page.until_text("#sending-error", "the answer got lost")
    api.lose_upload_answer = api.lose_jobs = False
    page.click("#upload-retry")
    page.until_text("#job-title", "Once only")

    assert (3, 1) == (len(api.uploads), len(api.jobs))
    assert len(set(api.keys)) == 1
    page.complaints()  # the browser's own lines about broken connections


def test_a_file_that_is_chosen_again_is_another_upload(page: Browser, api: StandIn, clip: Path) -> None:
    """Whoever wants a video twice gets it twice."""
    for _ in range(2):
        choose(page, api, clip)
        page.click("#upload-start")
        page.find("#view-job h1")
    assert 2 == len(api.jobs)
    assert 2 == len({key for key in api.keys if key and len(key.strip('"')) == 32})


def test_a_try_waits_while_the_server_still_holds_the_one_before(page: Browser, api: StandIn, clip: Path) -> None:
    api.answer_in_progress = 2
    choose(page, api, clip)
    page.click("#upload-start")
    page.find("#view-job h1")
    assert (3, 1) == (len(api.keys), len(set(api.keys)))
    assert page.refusals() == ["/upload 409", "/upload 409"]


def test_another_wish_for_a_video_that_arrived_is_explained(page: Browser, api: StandIn, clip: Path) -> None:
    api.upload_problem = (422, "Unprocessable", "Idempotency-Key: used")
    api.upload_problem_code = "idempotency_key_reused"
    choose(page, api, clip)
    page.click("#upload-start")
    page.until_text("#sending-error", "This video has already been uploaded")
    assert page.refusals() == ["/upload 422"]


def test_a_limit_of_gigabytes_is_shown_as_such(page: Browser, api: StandIn) -> None:
    api.max_upload_bytes = 5_000_000_000
    page.open(api.url).until_text("#drop-facts", "up to 5.0 GB")


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("empty.mp4", 0, "This file is empty"),
        ("notes.txt", 10, "This does not look like a video"),
        ("long.mp4", 2_000_001, "the limit is 2 MB"),
    ],
)
def test_a_file_that_cannot_work_is_refused_before_it_is_sent(
    page: Browser, api: StandIn, tmp_path: Path, name: str, size: int, words: str
) -> None:
    """An hour of mobile data is not spent on a certain refusal."""
    api.max_upload_bytes = 2_000_000
    path = tmp_path / name
    path.write_bytes(bytes(size))
    page.open(api.url).until_text("#drop-facts", "up to 2 MB")
    page.choose_file("#file", path)
    page.until_text("#file-error", words)
    assert not page.visible("#details")


def test_unticking_every_platform_is_not_taken_for_all_of_them(page: Browser, api: StandIn, clip: Path) -> None:
    """For the API no platforms means all: the page must not let that happen by accident."""
    choose(page, api, clip)
    for platform in ("tiktok", "instagram", "youtube"):
        page.click(f"#platform-choices [value={platform}]")
    page.click("#upload-start")
    page.until_text("#platforms-error", "at least one")
    assert api.uploads == []


def test_phones_offer_the_camera_beside_the_gallery(page: Browser, api: StandIn) -> None:
    """`capture` takes the gallery away, so it must never be on the only input."""
    page.show_on(PHONE).open(api.url).find("#file-label")
    assert page.visible(".record label")
    assert page.run("return document.querySelector('#record').getAttribute('capture')") == "user"
    assert page.run("return document.querySelector('#file').hasAttribute('capture')") is False


def test_the_keyboard_alone_reaches_the_file_input(page: Browser, api: StandIn) -> None:
    page.open(api.url).find("#file-label")
    for _ in range(4):
        page.press("\ue004")  # tab
        if page.run("return document.activeElement.id") == "file":
            break
    assert page.run("return document.activeElement.id") == "file"
    outline = "return getComputedStyle(document.querySelector('#file-label')).outlineStyle"
    assert page.run(outline) == "solid"  # the label shows the focus that its hidden input has
