"""The content encoding of request bodies: only unencoded bodies are accepted."""

from __future__ import annotations

from api.http.problems import Problem


def require_identity(header: str | None) -> None:
    """Refuse an encoded body. Decoding it would need memory and time that the sender chooses.

    Args:
        header: the value of Content-Encoding; None if it was not sent.

    Raises:
        Problem: 415, with the accepted encoding in Accept-Encoding (RFC 9110, section 12.5.3).
    """
    if header is not None and header.strip().lower() not in {"", "identity"}:
        detail = "the body has a content encoding; send it unencoded, without Content-Encoding"
        raise Problem(415, "encoded_body", detail, headers={"Accept-Encoding": "identity"})
