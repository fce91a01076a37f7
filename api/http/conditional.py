"""Conditional requests: entity tags and 304 (RFC 9110, sections 8.8.3 and 13)."""

from __future__ import annotations

import hashlib
import re

import falcon

from api.http.problems import Problem


def content_tag(content: bytes) -> str:
    """Return an entity tag for an answer's content: 24 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:24]


def not_modified(request: falcon.Request, response: falcon.Response, tag: str) -> bool:
    """Set the ETag; if the client has this version already, answer 304 and return True."""
    response.etag = tag
    if not any(known in {"*", tag} for known in request.if_none_match or ()):
        return False
    response.status = falcon.HTTP_304
    return True


def required_tag(request: falcon.Request) -> str:
    """Return the entity tag of If-Match, of which there must be exactly one.

    Raises:
        Problem: 428 without it, 412 for several.
    """
    tag = given_tag(request)
    if tag is None:
        raise Problem(428, "if_match_missing", "send the ETag of what you have read as If-Match")
    return tag


def given_tag(request: falcon.Request) -> str | None:
    """Return the entity tag of If-Match, of which there must be at most one; None without it.

    Proxies that compress answers change their tags: nginx makes them weak, Apache adds the coding. Our tags identify
    the version of a resource, not the bytes of an answer, so these forms name the same version.

    Raises:
        Problem: 412 for several.
    """
    tags = request.if_match or []
    if not tags:
        return None
    if len(tags) != 1 or tags[0] == "*":
        raise Problem(412, "precondition_failed", "If-Match must be the one ETag of what you have read")
    return re.sub("-(gzip|br|zstd|deflate)$", "", str(tags[0]))
