"""The words and options of posts: templates, and which setting counts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from actors import wiring
from actors.flow import post_words, publishing, word_commands
from actors.flow.post_words import PostPlace, PostWords, resolve
from actors.flow.publication_commands import NotPossible
from platforms.contract import AuthorizedAccount, Handle, Outcome, Post
from platforms.wording import numbered_title
from store import Store, jobs, post_settings, publications
from store.post_settings import PostSettings
from store.states import PublicationStatus
from store.tables import publications as publications_table
from tests.actors.one_publication import NAME, Remote, drive
from tests.store.rows import job

TALK = replace(job(parts=5), title="My talk", caption="On seeing", post_options={"youtube": {"privacy": "unlisted"}})


def place(platform: str = "youtube", part: int = 2, parts: int = 5) -> PostPlace:
    return PostPlace(platform, "acc", part, parts)


def on(number: int = 0, target: str = "", **values: Any) -> PostSettings:
    return PostSettings(job_id="job", segment_number=number, target=target, **values)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("My talk", "My talk — Part 2/5"),
        ("My talk ({n}/{m})", "My talk (2/5)"),
        ("{n}. My talk", "2. My talk"),
        ("My {talk} {N} {{n", "My {talk} {N} {{n — Part 2/5"),
    ],
)
def test_a_title_without_placeholders_gets_the_number(title: str, expected: str) -> None:
    """Other braces are text."""
    assert expected == resolve(replace(TALK, title=title), [], place()).title


@pytest.mark.parametrize(
    ("settings", "title", "caption"),
    [
        ([], "My talk — Part 2/5", "On seeing"),
        ([on(target="youtube", title="{title} — Teil {n}/{m}")], "My talk — Teil 2/5", "On seeing"),
        ([on(target="youtube", title="{title}")], "My talk", "On seeing"),
        ([on(target="youtube", title="")], "", "On seeing"),
        ([on(target="tiktok", title="Other")], "My talk — Part 2/5", "On seeing"),
        ([on(2, title="The hard part")], "The hard part — Part 2/5", "On seeing"),
        ([on(3, title="The hard part")], "My talk — Part 2/5", "On seeing"),
        ([on(2, title="Part"), on(target="youtube", title="YT", caption="YT {n}")], "Part — Part 2/5", "YT 2"),
        ([on(2, "acc", title="{title}!"), on(2, title="Part", caption="P")], "My talk!", "P"),
        ([on(2, "other", title="Other")], "My talk — Part 2/5", "On seeing"),
        ([on(target="youtube", caption="{title}: {n} of {m} {x}")], "My talk — Part 2/5", "My talk: 2 of 5 {x}"),
    ],
)
def test_the_most_exact_setting_counts_for_each_field(settings: list[PostSettings], title: str, caption: str) -> None:
    """Publication before part before platform before job."""
    words = resolve(TALK, settings, place())
    assert (title, caption) == (words.title, words.caption)


def test_options_are_merged_from_the_upload_to_the_publication() -> None:
    """An option that nobody changed is the upload's."""
    settings = [on(target="youtube", options={"a": 1, "b": 1}), on(2, "acc", options={"b": 2})]
    assert resolve(TALK, settings, place()).options == {"privacy": "unlisted", "a": 1, "b": 2}
    assert resolve(TALK, settings, place("tiktok")).options == {"b": 2}


def test_the_cover_has_the_numbers_of_its_part() -> None:
    """The title on it has no braces."""
    assert post_words.video_title(replace(TALK, title="{n}. My talk"), 3, 5) == "3. My talk"


def test_the_name_of_a_file_is_no_template() -> None:
    """Nobody wrote it as one."""
    untitled = replace(TALK, title="", caption="", original_name="my {n} talk.mp4")
    assert resolve(untitled, [], place()).title == "my {n} talk — Part 2/5"


def test_a_placeholder_in_a_title_is_not_filled_twice() -> None:
    """A creator's `{n}` inside the title of the video is filled where the title is, once."""
    shown = replace(TALK, title="{n}: braces")
    assert resolve(shown, [on(target="youtube", title="{title} {m}")], place()).title == "2: braces 5"


def test_a_missing_title_has_words_wherever_it_is_referred_to() -> None:
    """TikTok's caption is not repeated above itself; a template that names the title gets its default."""
    untitled = replace(TALK, title="", caption="Why I left my job. And then?", original_name="IMG_4711.MOV")
    assert resolve(untitled, [], place("tiktok")).title == "Part 2/5"
    assert resolve(untitled, [], place()).title == "Why I left my job — Part 2/5"
    assert resolve(untitled, [on(target="tiktok", title="{title}!")], place("tiktok")).title == "Why I left my job!"


@given(title=st.text(min_size=1, max_size=80), caption=st.text(max_size=80), part=st.integers(1, 9))
def test_words_without_braces_are_sent_as_they_are(title: str, caption: str, part: int) -> None:
    """Nothing is shortened or replaced."""
    if "{" in title + caption or not title.strip():
        return
    words = resolve(replace(TALK, title=title, caption=caption), [], place(part=part, parts=9))
    assert (words.title, words.caption) == (numbered_title(title, part, 9), caption.strip())


@pytest.fixture
def remote(publishing_job: Callable[[Remote], None]) -> list[Post]:
    """A publication that may begin; the posts that its publisher gets."""
    seen: list[Post] = []

    class Seeing(Remote):
        def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
            seen.append(post)
            return super().begin(post, account)

        def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
            seen.append(post)
            return super().advance(post, account, handle, interrupted=interrupted)

    publishing_job(Seeing())
    return seen


def _words(store: Store) -> PostWords:
    with store.reading() as connection:
        found, owner = publications.get(connection, NAME), jobs.get(connection, "job")
        assert found is not None
        assert owner is not None
        return post_words.shown(found, owner, post_settings.of_job(connection, "job"))


def test_the_words_shown_are_those_sent_at_every_step(store: Store, remote: list[Post]) -> None:
    """A change between two steps is refused, and one of the whole job has no effect on a post that has begun."""
    word_commands.change_publication(wiring.machine, NAME, {"title": "Before"})
    publishing.run_step(wiring.machine, NAME, "message")

    with pytest.raises(NotPossible, match="publication_started"):
        word_commands.change_publication(wiring.machine, NAME, {"title": "After"})
    with pytest.raises(NotPossible, match="publication_started"):
        word_commands.change_job(wiring.machine, "job", word_commands.JobWords(job={"title": "After"}))
    assert drive().status is PublicationStatus.PUBLISHED

    assert {post.title for post in remote} == {"Before"}
    assert _words(store).title == "Before"


def test_a_retried_post_has_the_words_of_its_retry(store: Store, remote: list[Post]) -> None:
    """A post that the platform refused for its words can be put right."""
    publishing.run_step(wiring.machine, NAME, "message")
    with store.writing(scope="everything") as connection:
        publications.restart(connection, [NAME], wiring.machine.now())
    word_commands.change_publication(wiring.machine, NAME, {"title": "Better"})

    assert _words(store).title == "Better"


def test_a_change_that_a_platform_would_refuse_changes_nothing(store: Store, remote: list[Post]) -> None:
    """It is undone as a whole."""
    change = word_commands.JobWords(job={"title": "New"}, parts={1: {"caption": "x" * 2200}})
    with pytest.raises(word_commands.WordsRefused) as refused:
        word_commands.change_job(wiring.machine, "job", change)

    assert (refused.value.field, refused.value.platform, refused.value.part) == ("caption", "tiktok", 1)
    assert _words(store).title == "A talk"


def test_only_posts_that_can_be_changed_are(store: Store, remote: list[Post]) -> None:
    """A part or platform that does not exist, or is over, is a conflict with its reason."""
    for change, code in (
        (word_commands.JobWords(parts={2: {"title": "x"}}), "no_such_part"),
        (word_commands.JobWords(platforms={"youtube": {"title": "x"}}), "publication_started"),
    ):
        with pytest.raises(NotPossible, match=code):
            word_commands.change_job(wiring.machine, "job", change)


def test_a_change_at_the_moment_of_the_start_is_sent_or_refused(store: Store, remote: list[Post]) -> None:
    """Two threads on one database: the words that are sent are those shown, whoever comes first."""
    for number in range(40):
        with store.writing(scope="everything") as connection:
            publications.restart(connection, [NAME], wiring.machine.now())
            mine = publications_table.c.id == NAME
            connection.execute(update(publications_table).where(mine).values(status=PublicationStatus.PUBLISHING))
        both = threading.Barrier(2)

        def step(number: int = number, both: threading.Barrier = both) -> None:
            both.wait()
            publishing.run_step(wiring.machine, NAME, f"message-{number}")

        publisher = threading.Thread(target=step)
        publisher.start()
        both.wait()
        try:
            word_commands.change_publication(wiring.machine, NAME, {"title": f"New {number}"})
            outcome = f"New {number}"
        except NotPossible:
            outcome = "refused"
        publisher.join()
        assert remote[-1].title == _words(store).title
        assert outcome in {"refused", remote[-1].title}
        with store.writing(scope="everything") as connection:
            post_settings.put(connection, PostSettings(job_id="job", segment_number=1, target="tiktok-1"))
