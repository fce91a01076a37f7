"""The editor of the words of posts: what it counts, what it sends, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actors.flow.post_words import PostPlace, resolve
from api.context import Context
from api.resources.limits import limits_document
from platforms.definition import PublishingOptions
from platforms.errors import Rejected
from platforms.instagram import wording as instagram
from platforms.registry import PLATFORMS
from platforms.wording import utf16_units
from store import jobs
from store.post_settings import PostSettings
from store.states import JobStatus
from tests.api.conftest import clock, context
from tests.frontend import samples
from tests.frontend.browser import READY, Browser
from tests.frontend.real_api import real
from tests.frontend.stand_in import Refusal, StandIn
from tests.frontend.test_status import open_job
from tests.store import rows

__all__ = ["clock", "context", "real"]  # fixtures

LIMITS = limits_document(PublishingOptions())["platforms"]
TEXTS = [
    "", "plain", "  ends \u3000", "\ufeff", "3️⃣", "family 👨‍👩‍👧‍👦 🇩🇪", "ﷺ" * 30, "a\r\nb\n\nc", "\x85 x \x1f",
    "#one #two", "#a#b#", "#a,#b;#c", "＃全角 #日本語 #नमस्ते", "x#no &#39; /#no _#no", "#with-hyphen #👩‍💻 #zw\u200cnj",
    "@one @two.three mail@example.com /@no é@no ٣@no", "#" * 40, " ".join(f"#t{n}" for n in range(40)),
    "#\u3000a #\u2028b #\u00a0c #\ufeffd", "№#ⅷ ⅷ#no ²#no", "#a\u0301 \u0301#b", "@" * 30 + "x", "x" * 2201,
]  # fmt: skip
COUNT = """
    const [address, cases] = arguments;
    return import(address).then(({ counts }) => cases.map(([words, limits]) => counts(words, limits)));
"""
COMPOSE = """
    const [address, cases] = arguments;
    return import(address).then(({ composed }) => cases.map(([job, place]) => composed(job, place)));
"""


def module(page: Browser, name: str) -> str:
    """Return the address of a module of the page."""
    script = "return document.querySelector('script[type=module]').src.replace('app.js', arguments[0])"
    return str(page.run(script, name))


def measured(of: str, unit: str, title: str, caption: str) -> int:
    """Return a count as the server makes it."""
    title, caption = (text.replace("\r\n", "\n").strip() for text in (title, caption))
    text = {"title": title, "caption": caption, "text": "\n\n".join(filter(None, (title, caption)))}[of]
    count: dict[str, Callable[[str], int]] = {
        "utf16_units": utf16_units,
        "bytes": lambda one: len(one.encode()),
        "hashtags": instagram.count_hashtags,
        "mentions": lambda one: len(instagram.MENTION.findall(one)),
        "lines": lambda one: one.count("\n") + 1,
    }
    return count[unit](text)


def test_the_page_counts_as_the_server_does(page: Browser, api: StandIn) -> None:
    """A counter that says less would let somebody write what is refused."""
    page.open(api.url).find(READY)
    cases = [(title, caption, limits["limits"]) for title in TEXTS for caption in TEXTS for limits in LIMITS.values()]
    sent = [[{"title": title, "caption": caption}, limits] for title, caption, limits in cases]
    for (title, caption, limits), found in zip(cases, page.run(COUNT, module(page, "post-text.js"), sent), strict=True):
        expected = [measured(one["of"], one["unit"], title, caption) for one in limits]
        assert [one["count"] for one in found] == expected, (title, caption)


@pytest.mark.parametrize("text", ["x" * 101, "é" * 2501, "#a" * 31, "@a " * 21, "👩‍👩‍👧" * 300, "ok"])
def test_what_a_counter_calls_too_long_is_what_a_platform_refuses(page: Browser, api: StandIn, text: str) -> None:
    page.open(api.url).find(READY)
    for name, platform in PLATFORMS.items():
        for words in ((text, "caption"), ("title", text)):
            sent = [[{"title": words[0], "caption": words[1]}, LIMITS[name]["limits"]]]
            [found] = page.run(COUNT, module(page, "post-text.js"), sent)
            try:
                platform.compose(*words)
                is_accepted = True
            except Rejected:
                is_accepted = False
            assert is_accepted == all(one["count"] <= one["maximum"] for one in found), (name, words)


LAYERS: list[tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("A talk", "Read this", {}, {}, {}),
    ("A talk", "Part {n} of {m}: {title}", {}, {}, {}),
    ("{n}. of a talk", "{title}", {"title": "{title} ({n}/{m})"}, {}, {}),
    ("A talk", "", {"title": "Of the platform", "caption": "{unknown} {{n}}"}, {"caption": "Of the part"}, {}),
    ("A talk", "", {"title": "Of the platform"}, {"title": "Of the part"}, {"title": "Only here"}),
    ("A talk", "c", {}, {"title": ""}, {"caption": " own {n} "}),
    ("A talk", "c", {"title": "{m}"}, {}, {"title": "  "}),
    ("", "Caption alone", {}, {}, {}),
]


@pytest.mark.parametrize(("title", "caption", "platform", "part", "post"), LAYERS)
@pytest.mark.parametrize("number", [1, 12])
def test_the_page_composes_as_the_server_does(
    page: Browser, api: StandIn, title: str, caption: str, platform: dict[str, Any], part: dict[str, Any],
    post: dict[str, Any], number: int,
) -> None:  # fmt: skip
    page.open(api.url).find(READY)
    job = replace(rows.job(parts=12), title=title, caption=caption)
    layers = [(0, "instagram", platform), (number, "", part), (number, "account", post)]
    settings = [PostSettings(job_id="job", segment_number=part, target=on, **words) for part, on, words in layers]
    expected = resolve(job, settings, PostPlace("instagram", "account", number, 12))
    document = {
        "title": title, "caption": caption,
        "platform_words": {"instagram": platform}, "part_words": {str(number): part},
    }  # fmt: skip
    place = {"number": number, "of": 12, "platform": "instagram", "post": {"own_words": post}, "needsTitle": False}
    [found] = page.run(COMPOSE, module(page, "post-text.js"), [[document, place]])
    assert (found["title"], found["caption"]) == (expected.title, expected.caption)


def edit(page: Browser, api: StandIn, opener: str = "#job [data-key=actions] [data-tool=words]") -> None:
    open_job(page, api, samples.in_words())
    page.click(opener)
    page.find(".counters")


def choose(page: Browser, name: str, value: str) -> None:
    page.run(
        "const select = document.querySelector(`.tool [name=${arguments[0]}]`); select.value = arguments[1];"
        "select.dispatchEvent(new Event('input', { bubbles: true }))",
        name,
        value,
    )


def write(page: Browser, name: str, text: str) -> None:
    page.run("document.querySelector(`.tool [name=${arguments[0]}]`).value = ''", name)
    page.fill(f".tool [name={name}]", text)


def shown(page: Browser, name: str) -> str:
    return str(page.run("return document.querySelector(`.tool [name=${arguments[0]}]`).value", name))


def count(page: Browser, platform: str) -> list[int]:
    script = "return [...document.querySelectorAll(`[data-key=${arguments[0]}] dd`)].map((one) => +one.dataset.count)"
    return [int(number) for number in page.run(script, platform)]


def test_the_words_of_the_whole_video_are_changed(page: Browser, api: StandIn) -> None:
    edit(page, api)
    assert (shown(page, "title"), shown(page, "caption")) == ("Five habits of calm speakers", "Read this #calm #talk")
    write(page, "title", "Six habits")
    assert count(page, "youtube") == [len("Six habits — Part 3/3"), len("Read this #calm #talk")]
    page.until_text(".tool [data-key=begun]", "1 of 6 posts have begun")
    page.click(".tool [data-key=save] button")
    page.until_text("#job-title", "Six habits")
    assert not page.visible("#viewer")
    assert api.changed == [("/jobs/job-words", {"title": "Six habits"})]
    assert page.run("return document.activeElement.dataset.tool") == "words"


def test_words_are_set_for_a_platform_a_part_and_a_post_at_once(page: Browser, api: StandIn) -> None:
    edit(page, api, "[data-key=part-2] [data-tool=words]")
    assert page.text(".tool #words-title-hint") == "As for the whole video."
    write(page, "caption", "Only part two")
    choose(page, "on", "y2")
    assert shown(page, "caption") == "Only part two", "inherited from the part"
    write(page, "title", "Once on YouTube")
    choose(page, "part", "")
    choose(page, "on", "youtube")
    write(page, "title", "All on YouTube")
    page.click(".tool [data-key=save] button")
    page.until("the end", lambda: not page.visible("#viewer"))
    parts, platforms = {"2": {"caption": "Only part two"}}, {"youtube": {"title": "All on YouTube"}}
    assert api.changed == [
        ("/jobs/job-words", {"parts": parts, "platforms": platforms}),
        ("/publications/y2", {"title": "Once on YouTube"}),
    ]

    page.click("[data-key=part-2] [data-tool=words]")
    page.click(".tool [data-reset=caption]")
    assert shown(page, "caption") == "Read this #calm #talk"
    page.click(".tool [data-key=save] button")
    page.until("the end", lambda: not page.visible("#viewer"))
    assert api.changed[-1] == ("/jobs/job-words", {"parts": {"2": {"caption": None}}})


def test_a_counter_says_how_much_is_too_much(page: Browser, api: StandIn) -> None:
    edit(page, api)
    write(page, "title", "x" * 95)
    assert "106 / 100 in the title 6 too many" in page.text(".counters [data-key=youtube]").replace("\n", " ")
    assert page.text(".counters [data-key=tiktok]").split("\n") == ["TikTok", "129 / 2200 in all"]


def test_a_refusal_stands_beside_its_field_and_nothing_is_lost(page: Browser, api: StandIn) -> None:
    edit(page, api)
    write(page, "title", "Better")
    api.refusals["PATCH /jobs/job-words"] = Refusal(
        422, title="Invalid", description="title: YouTube accepts no < or >", field="title"
    )
    page.click(".tool [data-key=save] button")
    page.until_text("#words-title-error", "YouTube accepts no < or >.")
    assert page.run("return document.activeElement.name") == "title"
    api.refusals.clear()
    for leave in ("\ue00c", ""):  # escape, then a reload
        page.press(leave) if leave else page.open("about:blank").open(api.url + "videos/job-words")
        page.until("the window closed", lambda: not page.visible("#viewer"))
        page.click("#job [data-key=actions] [data-tool=words]")
        page.until_text(".tool [data-key=save]", "Not saved yet.")
        assert shown(page, "title") == "Better"
    page.run("sessionStorage.clear()")
    assert page.refusals() == ["/jobs/job-words 422"]


def test_a_post_that_began_meanwhile_keeps_its_words(page: Browser, api: StandIn) -> None:
    edit(page, api, "[data-key=part-2] [data-tool=words]")
    choose(page, "on", "y2")
    write(page, "title", "Too late")
    api.jobs["job-words"]["segments"][1]["publications"][1] |= {"status": "publishing", "editable": False}
    api.refusals["PATCH /publications/y2"] = Refusal(
        409, title="Conflict", description="this post has begun or is over", kind="publication_started"
    )
    page.click(".tool [data-key=save] button")
    page.until_text(".tool [data-key=refusal]", "It keeps the words that it began with.")
    page.until_text(".tool [data-key=begun]", "These posts have begun or are over.")
    assert page.run("return document.querySelector('.tool [name=title]').disabled")
    assert page.refusals() == ["/publications/y2 409"]


def test_placeholders_and_kept_hashtags_are_put_in(page: Browser, api: StandIn) -> None:
    edit(page, api)
    write(page, "caption", "Speak calmly #calm #talk ")
    page.click(".tool summary")
    page.click(".tool [data-keep=hashtags]")
    page.find(".kept")
    write(page, "caption", "Part ")
    page.click(".tool [data-insert='{n}']")
    page.fill(".tool [name=caption]", " ")
    page.click(".kept [data-insert]")
    assert shown(page, "caption") == "Part {n} #calm #talk"
    page.press("\ue00c")
    page.open(api.url + "#job=job-words")
    page.click("#job [data-key=actions] [data-tool=words]")
    page.click(".tool summary")
    assert page.text(".kept [data-insert]") == "#calm #talk"
    page.click(".kept [data-remove]")
    page.until("the end of the text", lambda: not page.visible(".kept"))
    page.run("localStorage.clear()")


def test_the_real_api_takes_the_words(real: Browser, context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, replace(rows.job(status=JobStatus.PROCESSING, parts=None), created_at=context.now()))
    real.run("location.hash = '#job=job'")
    real.click("#job [data-tool=words]")
    real.find(".counters")
    write(real, "title", "x" * 95)
    real.click(".tool [data-key=save] button")
    real.until_text("#words-title-error", "YouTube accepts 100")
    write(real, "title", "A better talk")
    real.click(".tool [data-key=save] button")
    real.until_text("#job-title", "A better talk")
    with context.store.reading() as connection:
        job = jobs.get(connection, "job")
    assert job is not None
    assert job.title == "A better talk"
    assert real.refusals() == ["/jobs 401", "/jobs/job 422"]
