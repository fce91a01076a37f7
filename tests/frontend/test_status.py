"""The view of one job: its contents, its polling, and its actions."""

from tests.frontend import samples
from tests.frontend.browser import Browser
from tests.frontend.stand_in import StandIn, new_job


def open_job(page: Browser, api: StandIn, job: dict[str, object]) -> None:
    api.add_job(job)
    page.open(f"{api.url}#job={job['job_id']}").until_text("#job-title", str(job["title"]))


def part(page: Browser, number: int) -> str:
    """Return what one part's card says, in one line."""
    return " ".join(page.text(f"[data-key=part-{number}]").split())


def answers(api: StandIn) -> list[int]:
    """Return the status codes that questions for a status document got."""
    return [status for _, path, status in api.asked if path.startswith("/status/")]


def test_a_job_in_preparation_shows_its_progress_and_each_part(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.processing())
    page.until_text("#job .lead", "2 of 5 parts ready. Next: Instagram, 22 Nov 2099")
    assert page.run("return document.querySelector('#job progress').value") == 0.47
    first = part(page, 1)
    assert "Part 1/5 Ready 57 s · 0:00–0:57 · ends at a pause Eyes turned to the lens in 91 % of this part" in first
    assert "TikTok @mara.talks Publishing" in first
    assert "Goes out 22 Nov 2099 at" in first
    assert "ends at a change of scene · picture kept bit for bit Eyes left as filmed: no face" in part(page, 2)
    assert "Part 3/5 In the works" in part(page, 3)
    assert page.run("return document.querySelector('[data-key=part-3] progress').value") == 0.4
    assert "Part 4/5 Waiting" in part(page, 4)


def test_a_video_that_has_just_arrived_says_when_it_will_be_out(page: Browser, api: StandIn) -> None:
    """Before its parts are known it is an estimate; later it is the end of the last post."""
    open_job(page, api, new_job("job-1", "Talk") | {"all_out_by": "2099-11-27T09:01:00Z"})
    page.until_text("#job .lead", "Work on it starts in a moment. All out by about 27 Nov 2099 09:01.")
    api.jobs["job-1"] = samples.scheduled() | {"job_id": "job-1", "all_out_by": "2099-11-28T09:02:00Z"}
    page.until_text("#job .lead", "All out by 28 Nov 2099 09:02.")


def test_a_job_shows_its_stages_and_the_time_that_is_left(page: Browser, api: StandIn) -> None:
    """The parts before took 1.5 times their length; 2.6 parts of 57.4 s are left."""
    job = samples.processing() | {"review": {"reasons": ["requested"], "approved_at": None}}
    for part in job["segments"][:2]:
        part["stage_seconds"] = {"render": 80.0, "cover": 6.1}
    open_job(page, api, job)
    left = "return document.querySelector('[data-key=left]').textContent"
    assert page.run(left).replace("\xa0", " ") == "about 4 min left"
    shown = "return [...document.querySelectorAll('.stages li')].map((one) => [one.textContent, one.ariaCurrent])"
    expected = [
        ["Uploaded", None],
        ["Cut", None],
        ["Prepared 2/5", "step"],
        ["Approved", None],
        ["Published 0/3", None],
    ]
    assert page.run(shown) == expected


def test_a_published_job_links_to_every_post(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.completed())
    page.until_text("#job .lead", "All 9 posts are published.")
    links = page.run("return [...document.querySelectorAll('[data-key=part-2] .posts a')].map((link) => link.href)")
    assert [f"https://{name}.example/mara/2" for name in ("tiktok", "instagram", "youtube")] == links
    assert not page.visible("#job progress")


def test_everything_that_needs_the_creator_is_said_in_words(page: Browser, api: StandIn) -> None:
    """No failure is silent, and no code of ours stands on the page."""
    open_job(page, api, samples.with_errors())
    first, second = part(page, 1), part(page, 2)
    assert "Needs you Open the TikTok app and finish the draft" in first
    assert "Unclear Instagram gave no clear answer" in first
    assert "62 % of this part (the head is turned too far away)" in first
    assert "Part 2/2 Failed" in second
    assert "The part could not be rendered, also without eye correction." in second
    assert "Too late The time for publishing ran out." in second
    assert "_" not in first + second


def test_a_warning_about_the_file_is_said_in_words(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.completed() | {"warnings": ["sound_unreadable", "never_heard_of"]})
    assert "The sound of this video cannot be read" in page.text("[data-key=warning-sound_unreadable]")
    assert "Never heard of." == page.text("[data-key=warning-never_heard_of]").strip()


def test_a_corrected_part_says_how_far_and_what_was_left(page: Browser, api: StandIn) -> None:
    job = samples.completed()
    job["segments"][0]["gaze"] |= {
        "median_before_deg": 11.4, "median_after_deg": 2.6, "frames": 1000,
        "reasons": {"head_turned": 60, "looks_far_away": 120, "blink": 90, "into_lens": 20},
    }  # fmt: skip
    open_job(page, api, job)
    first = part(page, 1)
    assert "Eyes turned to the lens in 91 % of this part: 11° off before, 3° after" in first
    assert "Left as filmed elsewhere: you look away on purpose (12 %), the head is turned too far away (6 %)" in first
    assert "closed" not in first
    assert "Short of time" not in first
    assert not page.visible("[data-key=part-2] [data-key=gaze-rest]")


def test_a_part_that_was_made_in_a_hurry_says_so(page: Browser, api: StandIn) -> None:
    job = samples.completed()
    job["segments"][0]["gaze"] |= {"frames": 900, "reasons": {"time_short": 300}, "looked_at": 0.34}
    open_job(page, api, job)
    said = "it would have taken too long (33 %). Short of time, the eyes were measured in 34 % of the frames only"
    assert said in part(page, 1)
    assert not page.visible("[data-key=part-1] [data-key=hurry]")


def test_a_part_on_a_slow_machine_says_what_share_of_a_core_it_got(page: Browser, api: StandIn) -> None:
    job = samples.completed()
    steps = ["smaller_picture", "fewer_measured"]
    pace = {"took_s": 1432.0, "core_share": 0.068, "deadline_s": 1440.0, "steps": steps}
    job["segments"][0]["rendering"] = {"picture": "encoded", "settings": "full", "pace": pace}
    pace = {"took_s": 30.0, "core_share": 1.2, "deadline_s": 1440.0, "steps": []}
    job["segments"][1]["rendering"] = {"picture": "encoded", "settings": "full", "pace": pace}
    open_job(page, api, job)
    first = part(page, 1)
    assert "smaller picture to save time" in first
    assert "The server was short of time: this part got 7 % of a processor core" in first
    assert not page.visible("[data-key=part-2] [data-key=hurry]")


def test_a_refused_video_gives_its_reason(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.failed())
    page.until_text("#job .notice", "The video is 16000×16000 pixels; the limit is 8192 on each side.")


def test_a_code_the_page_does_not_know_is_shown_in_plain_words(page: Browser, api: StandIn) -> None:
    """The server may learn new states before the page does."""
    job = samples.completed()
    job["segments"][0]["gaze"] = samples.kept("sunglasses_too_dark")
    job["segments"][0]["publications"][0]["status"] = "held_for_review"
    open_job(page, api, job)
    assert "Eyes left as filmed: sunglasses too dark" in part(page, 1)
    assert "Held for review" in part(page, 1)


def test_a_change_reaches_the_page_without_taking_the_focus_or_the_pictures(page: Browser, api: StandIn) -> None:
    """A poll must not throw a keyboard or screen reader user back to the top."""
    open_job(page, api, samples.processing())
    page.find("[data-key=part-1] img")
    page.run("document.querySelector('[data-key=part-1] [data-look]').focus()")
    page.run("window.marked = [document.activeElement, document.querySelector('[data-key=part-1] img')]")
    job = api.jobs["job-processing"]
    job["progress"] = 0.61
    job["segments"][2] |= {"status": "ready", "gaze": samples.corrected(0.5)}
    job["segments"][2]["links"] = samples.links("job-processing", job["segments"][2])
    page.until_text("[data-key=part-3]", "Eyes turned to the lens in 50 %")
    assert page.run("return document.activeElement === window.marked[0]")
    assert page.run("return document.querySelector('[data-key=part-1] img') === window.marked[1]")
    assert page.run("return document.querySelector('#announcer').textContent") == "3 of 5 parts ready."
    assert [status for _, path, status in api.asked if path.endswith("/segments/1/cover")] == [200]


def test_nothing_changes_on_the_page_when_the_server_says_unchanged(page: Browser, api: StandIn) -> None:
    """The page sends the ETag back; a 304 touches no element."""
    open_job(page, api, samples.processing())
    page.run(
        "const watched = { subtree: true, childList: true, attributes: true, characterData: true };"
        "const count = (list) => { window.changes += list.length; };"
        "window.changes = 0;"
        "new MutationObserver(count).observe(document.querySelector('#job'), watched);"
    )
    page.until("two unchanged answers", lambda: len(answers(api)) >= 3)  # so that the first one has been processed
    assert answers(api)[:3] == [200, 304, 304]
    assert page.run("return window.changes") == 0


def _api_requests(api: StandIn) -> int:
    """Return the number of requests except for files, which the service worker may still be storing."""
    return sum(not path.startswith("/assets/") and path not in {"/", "/service-worker.js"} for _, path, _ in api.asked)


def test_a_hidden_page_asks_nothing_and_a_shown_one_asks_at_once(page: Browser, api: StandIn) -> None:
    """A phone in a pocket spends no data."""
    open_job(page, api, samples.processing())
    with page.hidden():
        before = _api_requests(api)
        page.wait(2.2)
        assert _api_requests(api) - before <= 1  # one may have been under way
        api.jobs["job-processing"]["title"] = "Changed meanwhile"
    page.until_text("#job-title", "Changed meanwhile")  # no timer runs: only the return to the page can ask


def test_a_finished_job_is_not_asked_about_again(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.completed())
    page.wait(2.2)
    assert answers(api) == [200]


def test_the_message_of_a_short_outage_disappears(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.processing())
    page.offline(True)
    page.until_text("#job .notice", "You are offline. This is how it stood today at")
    assert page.text("#connection") == "You are offline. This page goes on by itself when the connection is back."
    page.until_text("#job", "Part 1/5")
    page.offline(False)
    page.until("the notice to go", lambda: not page.visible("#job .notice"))
    assert page.text_content("#connection") == ""
    assert all("ERR_INTERNET_DISCONNECTED" in message for message in page.complaints())


def test_the_comparison_opens_large_and_gives_the_focus_back(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.processing())
    page.click("[data-key=part-1] [data-look=preview]")
    page.find("#viewer-stage img")
    assert (
        page.run("return document.querySelector('#viewer-stage img').getAttribute('src')")
        == "/jobs/job-processing/segments/1/preview"
    )
    whole = "const {width} = document.querySelector('#viewer-stage img').getBoundingClientRect(); return width"
    assert page.run(whole) > 1000, "as wide as the window: eyes are to be seen, the rest is scrolled to"
    page.press("\ue00c")  # escape
    page.until("the window closed", lambda: not page.visible("#viewer"))
    assert page.run("return document.activeElement.dataset.look") == "preview"


def test_parts_whose_files_are_gone_offer_nothing_to_look_at(page: Browser, api: StandIn) -> None:
    """Files are deleted once everything is out; the record stays."""
    job = samples.completed()
    for segment in job["segments"]:
        segment["links"] = {}
    open_job(page, api, job)
    assert not page.visible("[data-key=part-1] [data-look]")
    assert not page.visible("[data-key=part-1] img")
    assert [path for _, path, _ in api.asked if "/segments/" in path] == []


def test_a_cover_that_is_not_there_leaves_the_parts_number(page: Browser, api: StandIn) -> None:
    """Files may go while the page is open; a broken picture helps nobody."""
    api.cover = b""
    open_job(page, api, samples.job("job-bare", "completed", 1.0, [samples.segment(1, 1, "done")]))
    page.until_text("[data-key=part-1] .cover-empty", "1")
    assert not page.visible("[data-key=part-1] img")
    assert page.refusals() == ["/jobs/job-bare/segments/1/cover 404"]


def test_stopping_asks_first(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.processing())
    page.click("[data-action=cancel]")
    assert "its files are deleted" in page.text("#question-text")
    page.click("#question-no")
    assert api.jobs["job-processing"]["status"] == "processing"
    page.click("[data-action=cancel]")
    page.click("#question-yes")
    page.until_text("#job .pill", "Cancelled")
    assert api.jobs["job-processing"]["status"] == "cancelled"


def test_what_failed_can_be_tried_again(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.with_errors())
    page.click("[data-action=retry]")
    page.until_text("#job .pill", "Preparing")


def test_a_person_can_say_whether_an_unclear_post_is_there(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.with_errors())
    page.click("[data-key=part-1] [data-action=online]")
    page.click("#question-yes")
    page.until("the word to arrive", lambda: "Unclear" not in page.text("[data-key=part-1]"))
    resolved = [p for part in api.jobs["job-errors"]["segments"] for p in part["publications"] if p.get("id")]
    assert [post["status"] for post in resolved] == ["published"]


def test_a_post_that_failed_holds_the_later_ones_until_a_person_decides(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.held())
    assert "One later post waits for a part that was not published" in page.text("#job .lead")
    assert "Held" in page.text("[data-key=part-3]")
    assert "YouTube has a problem at the moment" in page.text("[data-key=part-3]")
    page.click("[data-key=part-2] [data-action=skip]")
    assert "The parts after it go on" in page.text("#question-text")
    page.click("#question-yes")
    page.until("the post to be skipped", lambda: "Cancelled" in page.text("[data-key=part-2]"))
    assert ("POST", "/publications/p2/skip", 204) in api.asked


def test_a_failed_post_is_tried_again_alone(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.held())
    page.click("[data-key=part-2] [data-action=repost]")
    page.until("the retry to be shown", lambda: "Waiting" in page.text("[data-key=part-2]"))
    assert ("POST", "/publications/p2/retry", 202) in api.asked


def test_a_post_goes_out_after_its_successors_only_after_a_yes(page: Browser, api: StandIn) -> None:
    api.later_parts_published = True
    open_job(page, api, samples.held())
    page.click("[data-key=part-2] [data-action=repost]")
    page.until("the question", lambda: "already published there" in page.text("#question-text"))
    page.click("#question-no")
    assert api.jobs["job-held"]["segments"][1]["publications"][0]["status"] == "failed"
    page.click("[data-key=part-2] [data-action=repost]")
    page.until("the question", lambda: page.visible("#question-yes"))
    page.click("#question-yes")
    page.until("the retry to be shown", lambda: "Waiting" in page.text("[data-key=part-2]"))
    assert all("409 (Conflict)" in message for message in page.complaints())


def test_deleting_the_files_leaves_the_record_and_its_links(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.completed())
    page.click("[data-action=delete]")
    page.click("#question-yes")
    page.until_text("#job", "files removed today at")
    assert not page.visible("[data-action=delete]")
    assert page.run("return document.querySelectorAll('.post-link').length") == 9


def test_a_job_deleted_with_its_record_leads_back_to_the_list(page: Browser, api: StandIn) -> None:
    api.delete_removes_record = True
    open_job(page, api, samples.completed())
    page.click("[data-action=delete]")
    page.click("#question-yes")
    page.until_text("#recent", "Nothing here yet")
    assert page.refusals() == ["/status/job-completed 404"]


def test_a_link_to_an_unknown_job_says_so(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}#job=nowhere").until_text("#job-title", "This video is not here")
    assert page.refusals() == ["/status/nowhere 404"]


def test_text_from_outside_cannot_become_markup_or_a_script(page: Browser, api: StandIn) -> None:
    """Titles, reasons and links are untrusted input."""
    job = samples.completed()
    job["title"] = "<img src=x onerror=alert(1)>"
    job["segments"][0]["publications"][0]["link"] = "javascript:alert(1)"
    open_job(page, api, job)
    assert page.text("#job-title") == "<img src=x onerror=alert(1)>"
    assert page.run("return document.querySelectorAll('a[href^=javascript]').length") == 0


def test_a_video_without_readable_sound_is_published_only_after_a_yes(page: Browser, api: StandIn) -> None:
    """The question stands where the warning would, with both answers; the list of videos shows that it waits."""
    open_job(page, api, samples.in_review())
    page.until_text("#job .lead", "2 of 2 parts ready. Nothing is published before you approve it.")
    assert "Waiting for you" in page.text("[data-key=head]")
    asked = " ".join(page.text("[data-key=review]").split())
    assert asked == (
        "The sound of this video cannot be read. Publish it without sound? Publish without sound Do not publish"
    )
    assert page.run("return document.querySelectorAll('[data-key=warning-sound_unreadable]').length") == 0
    assert page.run("return document.querySelectorAll('[data-action=cancel], [data-action=refuse]').length") == 1
    page.click("[data-key=review] [data-action=approve]")
    page.until_text("#job .lead", "0 of 4 posts published.")
    assert not page.visible("[data-key=review]")
    assert "its parts are silent" in page.text("[data-key=warning-sound_unreadable]")
    assert ("POST", "/jobs/job-review/approve", 200) in api.asked


def test_a_person_who_asked_to_look_first_is_reminded_of_it(page: Browser, api: StandIn) -> None:
    review = {"reasons": ["requested"], "approved_at": None}
    open_job(page, api, samples.in_review() | {"review": review, "warnings": []})
    page.until_text("[data-key=review]", "You asked to look first. Watch the parts below;")
    assert page.text("[data-key=review] [data-action=approve]") == "Publish"


def test_a_person_who_asked_to_look_first_reads_that_no_part_is_ready_yet(page: Browser, api: StandIn) -> None:
    review = {"reasons": ["requested"], "approved_at": None}
    parts = [samples.segment(number, 2, "planned") for number in (1, 2)]
    open_job(page, api, samples.job("job-early", "processing", 0.1, parts, review=review))
    page.until_text("[data-key=review]", "The parts appear below as soon as they are ready;")
    assert page.text("[data-key=review] [data-action=approve]") == "Publish without looking"


def test_posts_of_a_restored_video_that_are_public_are_skipped_before_the_yes(page: Browser, api: StandIn) -> None:
    job = samples.in_review() | {"review": {"reasons": ["restored"], "approved_at": None}, "warnings": []}
    for number, part in enumerate(job["segments"], 1):
        part["publications"] = [post | {"id": f"p{number}-{post['platform']}"} for post in part["publications"]]
    open_job(page, api, job)
    assert "restored from a backup, so parts of this video may be public already" in page.text("[data-key=review]")
    page.click("[data-key=part-1] [data-action=skip]")
    page.click("#question-yes")
    page.until("the post to be skipped", lambda: "Cancelled" in page.text("[data-key=part-1]"))
    assert [asked for asked in api.asked if asked[1].endswith("/skip")] == [
        ("POST", "/publications/p1-tiktok/skip", 204)
    ]
    page.click("[data-key=review] [data-action=approve]")
    page.until("the question to go", lambda: not page.visible("[data-key=review]"))
    assert page.run("return document.querySelectorAll('[data-action=skip]').length") == 0


def test_the_yes_can_be_given_or_refused_while_parts_are_prepared(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.in_review() | {"status": "processing"})
    assert page.visible("[data-key=review] [data-action=approve]")
    page.click("[data-key=review] [data-action=refuse]")
    asked = " ".join(page.text("#question").split())
    assert asked == ("Do not publish this video? Its parts and the uploaded file are deleted. Back Do not publish")
    page.click("#question-yes")
    page.until_text("[data-key=head]", "Cancelled")
    assert not page.visible("[data-key=review]")


def test_the_list_shows_that_a_video_waits_for_a_person(page: Browser, api: StandIn) -> None:
    api.add_job(samples.in_review())
    page.open(f"{api.url}videos").until_text("#recent", "Waiting for you")


def test_a_part_that_is_tried_again_says_why_and_when(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.retrying())
    page.until_text("[data-key=part-1]", "Rendering failed (out of memory). Trying again 22 Nov 2099 at")
    assert "Rendering failed 4 times, at last: out of memory." in part(page, 2)
    assert "smaller picture to save memory" in part(page, 3)
    page.click("[data-action=retry]")  # while the others go on
    page.until("the request", lambda: ("POST", "/jobs/job-retrying/retry", 200) in api.asked)


def test_a_video_that_is_examined_again_says_why(page: Browser, api: StandIn) -> None:
    again = {"attempts": [{"outcome": "crashed"}], "retry_at": "2099-11-22T18:00:00Z"}
    open_job(page, api, samples.job("job-again", "processing", 0.0, []) | again)
    page.until_text("[data-key=again]", "Examining the video failed (a crash). Trying again 22 Nov 2099 at")


def test_a_stopped_video_is_followed_until_its_files_are_gone(page: Browser, api: StandIn) -> None:
    """A person's own stop is no failure, and what is said of posts is true."""
    parts = [samples.segment(1, 2, "ready"), samples.segment(2, 2, "failed", reason="cancelled")]
    open_job(page, api, samples.job("job-stopped", "cancelled", 0.5, parts))
    page.until_text("#job .lead", "You stopped this video. Nothing was published.")
    stopped = part(page, 2)
    assert "Part 2/2 Cancelled" in stopped
    assert "Failed" not in stopped
    assert page.text("[data-action=delete]") == "Removing files…"
    api.jobs["job-stopped"]["files_deleted_at"] = "2026-11-22T10:05:00Z"
    page.until_text("#job .hint", "files removed")
    count = len(answers(api))
    page.wait(2.0)
    assert len(answers(api)) == count


def test_a_stopped_video_says_whether_posts_stay_online(page: Browser, api: StandIn) -> None:
    gone = {"files_deleted_at": "2026-11-22T10:05:00Z"}
    out = [samples.published("youtube", 1), samples.publication("tiktok", "cancelled")]
    open_job(
        page, api, samples.job("job-out", "cancelled", 1, [samples.segment(1, 1, "done", publications=out)], **gone)
    )
    page.until_text("#job .lead", "You stopped this video. Posts that were already published stay online.")
    unclear = [samples.publication("tiktok", "outcome_unknown")]
    open_job(
        page,
        api,
        samples.job("job-unclear", "cancelled", 1, [samples.segment(1, 1, "done", publications=unclear)], **gone),
    )
    page.until("the other job", lambda: page.text("#job .lead") == "You stopped this video.")


def test_the_words_about_cuts_and_pictures_hold_wherever_the_cut_is(page: Browser, api: StandIn) -> None:
    job = samples.job("job-cut", "completed", 1, [samples.segment(1, 2, "done", cut_reason="limit")])
    open_job(page, api, job | {"warnings": ["size_changes", "picture_begins_late"]})
    assert "ends where no pause was near" in part(page, 1)
    assert "on black" in page.text("[data-key=warning-size_changes]")
    said = page.text("[data-key=warning-picture_begins_late]")
    assert said == "The first picture is shown from the start, because the sound begins earlier."
