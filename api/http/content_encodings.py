"""The content encodings of bodies: requests are accepted unencoded only, files of the page may be sent with gzip."""

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


def accepts_gzip(header: str | None) -> bool:
    """Return whether a client accepts gzip (RFC 9110, section 12.5.3).

    Args:
        header: the value of Accept-Encoding; None if it was not sent.
    """
    for one in (header or "").lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() in {"gzip", "x-gzip"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
