"""GET and POST /share: videos that the installed page was given by a phone's Share menu, where no worker took them.

The page's service worker keeps shared videos in the browser (`frontend/service-worker.js`). Without it, after a person
has cleared the site's data for instance, the browser sends them here: in one request, which could not continue after a
broken connection. So the server reads none of it and leads to the page, which says what to do.
"""

from __future__ import annotations

import falcon

PATH = "/share"
NOT_TAKEN = "/?share=failed"
"""Address of the page that says that the videos were not taken; `frontend/shared.js` has the sentence."""


class NotTaken(falcon.HTTPError):
    """A redirect to the page before the body was received."""

    def __init__(self) -> None:
        super().__init__(303, description="share the video again, or choose it on the page", headers=_headers())


class ShareResource:
    """GET and POST /share."""

    public = True

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Lead to the page: a person has loaded the address of a share again."""
        del request
        response.status = falcon.HTTP_303
        response.location = "/"

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Lead to the page, which asks for the videos."""
        del request
        response.status = falcon.HTTP_303
        response.set_headers(_headers())


def _headers() -> dict[str, str]:
    return {"Location": NOT_TAKEN}
