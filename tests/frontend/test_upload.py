"""Choosing and sending a video, driven in a real browser."""

from pathlib import Path

import pytest

from tests.frontend.browser import PHONE, READY, Browser
from tests.frontend.stand_in import KEY, StandIn
from tests.frontend.uploading import records, until_worker


def choose(page: Browser, api: StandIn, clip: Path) -> None:
    """Open the page and choose the clip; wait until the form can be filled in."""
    page.open(api.url).find(READY)
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
    expected = {
        "title": "Five habits", "caption": "Calm speakers do this. #talk", "platforms": "tiktok,youtube",
        "gaze_intensity": "0.75", "file": ("talk.mp4", 300_000),
    }  # fmt: skip
    assert [expected] == api.uploads
    assert page.run("return location.pathname") == "/videos/job-1"


def test_fields_left_empty_are_not_sent(page: Browser, api: StandIn, clip: Path) -> None:
    """The server's own defaults decide where the creator said nothing."""
    api.accounts = []
    choose(page, api, clip)
    page.until_text("#platform-choices", "No account is connected")
    page.click("#upload-start")
    page.find("#job h1")
    assert list(api.uploads[0]) == ["gaze_intensity", "file"]


@pytest.mark.parametrize(("duration", "sent"), [("312.5", "312.5"), ("Infinity", None), ("NaN", None)])
def test_the_length_of_the_video_is_sent_where_the_browser_knows_it(
    page: Browser, api: StandIn, clip: Path, duration: str, sent: str | None
) -> None:
    """From it the server tells when all parts will be out. Recordings of a browser have none."""
    choose(page, api, clip)
    page.run(f"""
      const video = document.querySelector('#chosen-picture');
      Object.defineProperty(video, 'duration', {{ value: {duration} }});
      video.dispatchEvent(new Event('loadedmetadata'));
    """)
    page.click("#upload-start")
    page.find("#job h1")
    assert api.uploads[0].get("duration_s") == sent


def test_a_person_can_ask_to_look_before_anything_is_published(page: Browser, api: StandIn, clip: Path) -> None:
    """The wish survives a reload, and ends with its video."""
    choose(page, api, clip)
    page.click("#review")
    page.until("the record", lambda: records(page)[0]["fields"]["review"])
    page.open(api.url).until_text("#chosen-name", "talk.mp4")
    assert page.run("return document.querySelector('#review').checked")
    page.click("#upload-start")
    page.find("#job h1")
    assert [upload["review"] for upload in api.uploads] == ["true"]
    assert not page.run("return document.querySelector('#review').checked")


def test_a_video_can_be_tried_without_publishing(page: Browser, api: StandIn, clip: Path) -> None:
    choose(page, api, clip)
    page.click("#dry-run")
    page.until("the record", lambda: records(page)[0]["fields"]["dryRun"])
    page.open(api.url).until_text("#chosen-name", "talk.mp4")
    assert page.run("return document.querySelector('#dry-run').checked")
    page.click("#upload-start")
    page.find("#job h1")
    assert [upload["dry_run"] for upload in api.uploads] == ["true"]
    assert not page.run("return document.querySelector('#dry-run').checked")


def test_a_dropped_file_is_taken(page: Browser, api: StandIn, clip: Path) -> None:
    page.open(api.url)
    page.drop_file("#drop", clip)
    page.until_text("#chosen-name", "talk.mp4")
    page.find("#upload-start")


def test_a_file_dropped_beside_the_zone_does_not_replace_the_page(page: Browser, api: StandIn, clip: Path) -> None:
    """A careless drop would otherwise end a running upload."""
    page.open(api.url)
    page.drop_file("#new-title", clip)
    assert page.run("return location.href") == api.url
    assert not page.visible("#details")


def test_the_bytes_sent_are_shown_and_an_upload_can_be_cancelled(page: Browser, api: StandIn, clip: Path) -> None:
    """Nothing of a cancelled upload stays at the server, and the fields are as they were."""
    clip.write_bytes(bytes(20_000_000))
    page.open(api.url).find(READY)
    until_worker(page)
    page.upload_at(400_000)
    page.run(
        "const bar = document.querySelector('#sending-progress');"
        "window.shares = [];"
        "new MutationObserver(() => window.shares.push(bar.value)).observe(bar, { attributes: true });"
    )
    page.choose_file("#file", clip)
    page.fill("#title", "Kept")
    page.until("a tenth of the bytes sent", lambda: page.run("return window.shares.at(-1) > 0.1"))
    assert page.run("return window.shares.some((share) => share > 0 && share < 0.1)")  # it moved, it did not jump
    page.until_text("#sending-facts", "of 20 MB, ")
    page.until_text("#sending-facts", "B/s, about ")
    assert page.visible("#sending-keep")
    page.click("#upload-cancel")
    page.until_text("#question-text", "of talk.mp4 is on the server and would be removed")
    page.click("#question-yes")
    page.until("the removal", lambda: len(api.removed) == 1)
    page.until_text("#file-label", "Choose video")
    assert page.run("return document.querySelector('#title').value") == "Kept"
    assert api.uploads == []
    assert page.refusals() == []


def test_pieces_grow_while_all_goes_well(page: Browser, api: StandIn, clip: Path) -> None:
    """Few requests where the line is good, and little to repeat where it is not known yet."""
    clip.write_bytes(bytes(20_000_000))
    choose(page, api, clip)
    page.until_text("#sending-title", "The video is here")
    assert api.patches == [1_000_000, 2_000_000, 4_000_000, 8_000_000, 5_000_000]


def test_leaving_the_form_shows_the_upload_in_the_head_of_the_page(page: Browser, api: StandIn, clip: Path) -> None:
    """One may look at another video while the first one is on its way."""
    clip.write_bytes(bytes(20_000_000))
    page.open(api.url).find(READY)
    until_worker(page)
    page.upload_at(400_000)
    page.choose_file("#file", clip)
    page.click("#upload-start")
    page.until_text("#starting", "will be started when the upload is complete")
    page.run("location.hash = '#job=unknown'")
    page.until_text("#upload-strip", "Uploading")
    page.until("the share in the title", lambda: "%" in page.run("return document.title"))
    page.upload_at(-1)
    page.until_text("#upload-strip", "Upload complete")
    page.click("#upload-strip")
    page.until("the new job", lambda: page.run("return location.pathname") == "/videos/job-1")
    page.until_text("#job", "Your video has arrived")
    assert page.refusals() == ["/status/unknown 404"]


def test_what_was_asked_for_can_be_changed_until_the_video_is_there(page: Browser, api: StandIn, clip: Path) -> None:
    clip.write_bytes(bytes(20_000_000))
    page.open(api.url).find(READY)
    until_worker(page)
    page.upload_at(400_000)
    page.choose_file("#file", clip)
    page.fill("#title", "Befor")
    page.click("#upload-start")
    page.click("#upload-edit")
    page.fill("#title", "e and after")
    page.click("#upload-start")
    page.upload_at(-1)
    page.until_text("#job-title", "Before and after")
    assert [upload["title"] for upload in api.uploads] == ["Before and after"]


def test_a_refused_upload_is_explained_in_the_servers_words(page: Browser, api: StandIn, clip: Path) -> None:
    """Too large stays too large: there is no button to try the same again."""
    api.upload_problem = (413, "The video is too large", "It has 612 MB; the limit is 500 MB")
    page.open(api.url).find(READY)
    page.run("document.querySelector('#title').value = 'Kept'")
    page.choose_file("#file", clip)
    page.until_text("#file-error", "It has 612 MB; the limit is 500 MB.")
    assert not page.visible("#sending")
    page.until("the removal", lambda: api.removed == ["upload-1"])
    assert page.run("return document.querySelector('#title').value") == "Kept"
    assert page.refusals() == ["/files/upload-1 413"]


def test_a_refused_option_is_shown_at_its_field_and_corrected_with_one_press(
    page: Browser, api: StandIn, clip: Path
) -> None:
    api.options_problem = (422, "title", "it is too long for TikTok")
    choose(page, api, clip)
    page.fill("#title", "Long")
    page.click("#upload-start")
    page.until_text("#title-error", "It is too long for TikTok.")
    assert page.run("return document.activeElement.id") == "title"
    api.options_problem = None
    page.fill("#title", "er")
    page.click("#upload-start")
    page.until_text("#job-title", "Longer")
    assert (1, [300_000]) == (len(api.uploads), api.patches)
    assert page.refusals() == ["/files/upload-1 422"]


def test_a_platform_that_was_disconnected_meanwhile_is_told_at_the_choice(
    page: Browser, api: StandIn, clip: Path
) -> None:
    api.options_problem = (409, "platforms", "no TikTok account is connected")
    choose(page, api, clip)
    page.click("#upload-start")
    page.until_text("#platforms-error", "No TikTok account is connected.")
    page.click("#platform-choices [value=tiktok]")
    api.options_problem = None
    page.click("#upload-start")
    page.find("#job h1")
    assert [upload["platforms"] for upload in api.uploads] == ["instagram,youtube"]
    assert page.refusals() == ["/files/upload-1 409"]


def test_a_session_that_ended_before_the_end_costs_no_input(page: Browser, api: StandIn, clip: Path) -> None:
    """After signing in again the video is started without another press."""
    choose(page, api, clip)
    page.until_text("#sending-title", "The video is here")
    page.fill("#title", "Kept")
    api.needs_login = True
    page.click("#upload-start")
    page.fill("#key", KEY)
    page.click("#sign-in button")
    page.until_text("#job-title", "Kept")
    assert [upload["title"] for upload in api.uploads] == ["Kept"]
    assert {refusal.split()[1] for refusal in page.refusals()} == {"401"}


def test_a_passing_trouble_can_be_retried_with_one_press(page: Browser, api: StandIn, clip: Path) -> None:
    api.upload_problem = (503, "Busy", "The server is restarting")
    choose(page, api, clip)
    page.until_text("#sending-facts", "The server is restarting. Trying again in")
    api.upload_problem = None
    page.click("#upload-retry")
    page.click("#upload-start")
    page.find("#job h1")
    assert set(page.refusals()) == {"/files/upload-1 503"}


@pytest.mark.parametrize("status", [429, 503, 507])
def test_the_time_that_a_busy_server_asks_for_is_counted_down_and_kept(
    page: Browser, api: StandIn, clip: Path, status: int
) -> None:
    api.upload_problem, api.retry_after_s = (status, "Too many requests", "5 uploads in a minute"), 3
    choose(page, api, clip)
    for left in ("3", "2", "1"):
        page.until_text("#sending-facts", f"Trying again in {left} s.")
        page.run("document.dispatchEvent(new Event('visibilitychange')); window.dispatchEvent(new Event('online'))")
        assert not page.visible("#upload-retry")  # nothing hurries it
    api.upload_problem = None
    page.until_text("#sending-title", "The video is here")
    assert page.refusals() == [f"/files/upload-1 {status}"]


def test_a_video_whose_answer_got_lost_is_found_and_not_sent_again(page: Browser, api: StandIn, clip: Path) -> None:
    """A second upload would publish everything twice, so the page asks the server what became of the first one."""
    api.lose_upload_answer = True
    choose(page, api, clip)
    page.fill("#title", "Once only")
    page.click("#upload-start")
    page.until_text("#job-title", "Once only")
    assert (1, 1) == (len(api.uploads), len(api.files))
    page.complaints()  # the browser's own line about the broken connection


def test_a_file_that_is_chosen_again_is_another_upload(page: Browser, api: StandIn, clip: Path) -> None:
    """Whoever wants a video twice gets it twice."""
    for _ in range(2):
        choose(page, api, clip)
        page.click("#upload-start")
        page.find("#job h1")
    assert (2, 2) == (len(api.jobs), len(api.files))


def test_another_choice_is_added(page: Browser, api: StandIn, clip: Path, tmp_path: Path) -> None:
    """Each video has its own title; the other options are for all of them."""
    choose(page, api, clip)
    page.until_text("#sending-title", "The video is here")
    page.fill("#title", "First")
    page.fill("#caption", "For both")
    other = tmp_path / "other.mp4"
    other.write_bytes(b"other")
    page.choose_file("#file", other)
    page.until_text("#chosen-name", "2 videos")
    page.until_text("#upload-start", "Start these 2 videos")
    page.fill("#queue li:nth-child(2) input", "Second")
    page.click("#upload-start")
    page.until("both jobs", lambda: len(api.uploads) == 2)
    found = [(upload["title"], upload["caption"], upload["file"][0]) for upload in api.uploads]
    assert found == [("First", "For both", "talk.mp4"), ("Second", "For both", "other.mp4")]
    page.until("the links", lambda: page.run("return document.querySelectorAll('#queue a').length") == 2)
    page.click("#queue li:nth-child(2) a")
    page.until_text("#job-title", "Second")


def test_the_same_file_twice_in_a_row_is_one_upload(page: Browser, api: StandIn, clip: Path) -> None:
    choose(page, api, clip)
    page.until_text("#sending-title", "The video is here")
    page.choose_file("#file", clip)
    page.click("#upload-start")
    page.find("#job h1")
    assert len(api.uploads) == 1


def test_a_tab_is_closed_without_a_question_unless_bytes_would_be_missed(
    page: Browser, api: StandIn, clip: Path
) -> None:
    asks = "const event = new Event('beforeunload', { cancelable: true }); return !window.dispatchEvent(event)"
    clip.write_bytes(bytes(20_000_000))
    page.open(api.url).find(READY)
    until_worker(page)
    assert not page.run(asks)
    page.upload_at(400_000)
    page.choose_file("#file", clip)
    page.find("#sending")
    assert page.run(asks)
    page.click("#upload-pause")
    page.until_text("#sending-title", "Paused")
    assert not page.run(asks)
    page.upload_at(-1)
    page.click("#upload-resume")
    page.until_text("#sending-title", "The video is here")
    assert not page.run(asks)


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


@pytest.mark.parametrize(
    ("name", "kind"), [("talk.MP4", "application/octet-stream"), ("talk.ts", "text/vnd.trolltech.linguist")]
)
def test_a_video_of_which_the_system_names_another_type_is_taken(
    page: Browser, api: StandIn, name: str, kind: str
) -> None:
    """Android's file providers do so; the server looks into the file anyway."""
    page.open(api.url).find("#file-label")
    page.run(
        """
        const files = new DataTransfer();
        files.items.add(new File(['a video'], arguments[0], { type: arguments[1] }));
        document.querySelector('#file').files = files.files;
        document.querySelector('#file').dispatchEvent(new Event('change'));
        """,
        name,
        kind,
    )
    page.until_text("#chosen-name", name)
    page.find("#details")


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
    for _ in range(9):
        page.press("\ue004")  # tab
        if page.run("return document.activeElement.id") == "file":
            break
    assert page.run("return document.activeElement.id") == "file"
    outline = "return getComputedStyle(document.querySelector('#file-label')).outlineStyle"
    assert page.run(outline) == "solid"  # the label shows the focus that its hidden input has
