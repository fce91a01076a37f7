"""GET /, /assets/{version}/{name}, /static/{name} and some names at the root: the files of the web page.

The page names its files under a version, which changes with any of them. So browsers keep them for a year without
asking, and after an update they load all of them anew. The service worker has a name at the root, because it serves
only what is below its own address; it names its modules under the version, too, and so changes with any file. The files
are read, minified and compressed once, when the process starts: without a build step, and small for phones.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import falcon

from api.http import conditional, content_encodings, minification
from api.http.problems import not_found
from api.http.security_headers import PAGE_POLICY

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}

SERVICE_WORKER = "service-worker.js"
COMPRESSED = frozenset({".html", ".js", ".css", ".svg", ".webmanifest"})
VERSION_CHARS = 16
VERSIONED = (b'="/static/', b"'./static/")
"""Beginnings of the addresses in the page and in the service worker that get the version."""

FOREVER = ["public", "max-age=31536000", "immutable"]


@dataclass(frozen=True)
class PageFile:
    """One file of the page, kept compressed by gzip where that saves something: all browsers accept it."""

    media_type: str
    kept: bytes
    is_compressed: bool
    tag: str

    @property
    def content(self) -> bytes:
        """Return the file itself."""
        return gzip.decompress(self.kept) if self.is_compressed else self.kept


class PagesResource:
    """GET /, /assets/{version}/{name} and /static/{name}."""

    public = True

    def __init__(self, directory: Path) -> None:
        """Read the files of a directory."""
        found = {path.name: _read(path) for path in sorted(directory.iterdir()) if path.suffix in MEDIA_TYPES}
        self._version = sha256(repr(sorted(found.items())).encode()).hexdigest()[:VERSION_CHARS]
        self._files = {name: self._file(name, content) for name, content in found.items()}

    def on_get(
        self, request: falcon.Request, response: falcon.Response, name: str = "index.html", version: str = ""
    ) -> None:
        """Send a file of the page."""
        file = self._files.get(name)
        if file is None:
            raise not_found("page")
        # A page that was loaded before an update asks for the version before it, and gets what there is.
        response.cache_control = FOREVER if version == self._version else ["no-cache"]
        response.set_header("Content-Security-Policy", PAGE_POLICY)
        # With "no-referrer" browsers may send `Origin: null` with the page's own changes, and no Referer.
        response.set_header("Referrer-Policy", "same-origin")
        if file.is_compressed:
            response.append_header("Vary", "Accept-Encoding")
        is_compressed = file.is_compressed and content_encodings.accepts_gzip(request.get_header("Accept-Encoding"))
        if conditional.not_modified(request, response, f"{file.tag}-gzip" if is_compressed else file.tag):
            return
        response.content_type = file.media_type
        response.data = file.kept if is_compressed else file.content
        if is_compressed:
            response.set_header("Content-Encoding", "gzip")

    on_head = on_get

    def _file(self, name: str, content: bytes) -> PageFile:
        suffix = Path(name).suffix
        if suffix == ".html" or name == SERVICE_WORKER:
            for beginning in VERSIONED:
                content = content.replace(beginning, beginning.replace(b"static", f"assets/{self._version}".encode()))
        compressed = _compress(content) if suffix in COMPRESSED else content
        is_smaller = len(compressed) < len(content)
        kept = compressed if is_smaller else content
        return PageFile(MEDIA_TYPES[suffix], kept, is_smaller, conditional.content_tag(content))


class PageFileResource:
    """GET of one file of the page under an address of its own, which does not change with the version."""

    public = True

    def __init__(self, pages: PagesResource, name: str) -> None:
        self._pages = pages
        self._name = name

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Send the file."""
        self._pages.on_get(request, response, self._name)

    on_head = on_get


def _read(path: Path) -> bytes:
    """Return the content of a file, without what only its authors need."""
    if path.suffix not in minification.MINIFIERS:
        return path.read_bytes()
    return minification.minify(path.read_text(encoding="utf-8"), path.suffix).encode()


def _compress(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
