"""Problems as a small page, for addresses that a person opens in a browser.

The page says what happened and what to do next, and has a link that leads on. Programs get problem documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import falcon

from api.http import navigation, page_frame, problems


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of a page.

    Attributes:
        advice: what the person can do.
        shows_detail: the sentence of the problem is shown, too; those of some problems are for programs.
        can_repeat: opening the same address again may work.
        home: text of the link to the page.
    """

    title: str
    advice: str = ""
    shows_detail: bool = True
    can_repeat: bool = False
    home: str = "Back to VidProd"


_FOR_PROGRAMS = Words(
    title="Nothing to see here",
    advice="This address is meant for programs and cannot be opened in this way. Use VidProd's page instead.",
    shows_detail=False,
)
_BY_STATUS = {
    **dict.fromkeys((405, 406, 411, 412, 415, 460, 501, 505), _FOR_PROGRAMS),
    400: Words(title="That did not work", advice="Go back to VidProd and start again from there."),
    401: Words(
        title="Please sign in",
        advice="You are not signed in, or your session has ended. Sign in first, then open this address again.",
        shows_detail=False,
        home="Sign in",
    ),
    403: Words(title="This is not allowed", advice="Do it from VidProd's own page instead."),
    404: Words(title="Not found", advice="The address may have a typing error, or what was here has been deleted."),
    408: Words(
        title="That took too long",
        advice="Your connection may be slow. Try it again.",
        shows_detail=False,
        can_repeat=True,
    ),
    409: Words(title="That is not possible now", advice="VidProd's page shows how things are at the moment."),
    410: Words(title="No longer here", advice="It has been deleted. VidProd's page shows what is left."),
    413: Words(title="Too large", advice="VidProd's page says how large a video may be."),
    422: Words(title="That did not work", advice="Go back to VidProd and start again from there."),
    429: Words(title="Please wait a moment", can_repeat=True),
    431: Words(
        title="Your browser sent too much",
        advice="Delete the cookies of this site in your browser's settings, then open the address again.",
        shows_detail=False,
    ),
    500: Words(
        title="Something went wrong",
        advice="This is VidProd's fault, not yours. Try it again. If it happens once more, ask the person who runs this"
        " server to look into its log.",
        shows_detail=False,
        can_repeat=True,
    ),
    503: Words(title="Not available at the moment", can_repeat=True),
}  # fmt: skip
_OTHER = _BY_STATUS[400]
_NOT_CONNECTED = Words(title="The account is not connected", advice="Go back to VidProd and connect it again.")
_BY_CODE = {
    **dict.fromkeys(("tus_header", "tus_checksum", "tus_concat", "not_json", "broken_form", "no_file"), _FOR_PROGRAMS),
    "connect_unknown": Words(title="The account is not connected"),
    "connect_refused": Words(title="The account is not connected"),
    "connect_used": _NOT_CONNECTED,
    "connect_failed": _NOT_CONNECTED,
    "no_client": Words(
        title="The account is not connected",
        advice="The person who runs this server has to register an app at the platform first.",
    ),
    "bad_variant": _NOT_CONNECTED,
    "foreign_page": Words(
        title="This is not allowed",
        advice="Another site's page has sent you here. If you wanted to come, open VidProd and start there.",
        shows_detail=False,
    ),
    "bad_link": Words(title="Not found", advice="Links to videos end after a while. VidProd's page has new ones."),
}


def serialize(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    """Send a problem: as a page to a browser that opens the address, else as a document."""
    response.append_header("Vary", "Accept")
    if not navigation.is_navigation(request):
        problems.serialize(request, response, error)
        return
    response.set_headers(page_frame.HEADERS)
    response.text = page(error, method=request.method)


def page(error: falcon.HTTPError, *, method: str = "GET") -> str:
    """Return the page of a problem.

    Args:
        error: the problem, or an error of Falcon.
        method: of the request; only GET can be repeated by a link.
    """
    document = problems.document(error)
    words = _BY_CODE.get(str(document["code"])) or _BY_STATUS.get(error.status_code, _OTHER)
    # Without a description of its own, an error has that of its status, which is written for programmers.
    sentences = [_sentence(error.description)] if words.shows_detail and error.description else []
    sentences += [words.advice] if words.advice else []
    wait_s = dict(error.headers or {}).get("Retry-After")
    if wait_s:
        sentences.append(f"Try it again {_after(int(wait_s))}.")
    repeats = words.can_repeat and method == "GET"
    links = [page_frame.link("", "Try again")] if repeats else []
    links.append(page_frame.link("/", words.home, is_main=not repeats))
    content = [*map(page_frame.lead, sentences), f'<p class="links">{" ".join(links)}</p>']
    return page_frame.page(words.title, "\n".join(content), style="narrow")


def _sentence(detail: str) -> str:
    return f"{detail[:1].upper()}{detail[1:].rstrip('.')}."


def _after(wait_s: int) -> str:
    if wait_s <= 90:
        return f"in {wait_s} seconds" if wait_s != 1 else "in a second"
    return f"in {-(-wait_s // 60)} minutes"
