"""Conditional requests: entity tags and 304 (RFC 9110, sections 8.8.3 and 13)."""

from __future__ import annotations

import hashlib

import falcon


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
