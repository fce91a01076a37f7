"""Messages for requests without a response: certificate, name, port, protocol or time, for a person who can fix it."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator

import urllib3

from platforms.http.exchange import TransportFailure
from platforms.http.resolver import NameTimeout

# Results of OpenSSL's check of a certificate (x509_vfy.h).
_CERTIFICATE = {
    9: ("tls_not_yet_valid", "the certificate is not valid yet"),
    10: ("tls_expired", "the certificate has expired"),
    18: ("tls_self_signed", "the certificate is self-signed"),
    19: ("tls_self_signed", "the certificate chain ends with a self-signed certificate that is not trusted"),
    20: ("tls_untrusted", "the issuer of the certificate is not known; is the intermediate certificate missing?"),
    21: ("tls_untrusted", "the issuer of the certificate is not known; is the intermediate certificate missing?"),
    62: ("tls_wrong_host", "the certificate is for another host name"),
    64: ("tls_wrong_host", "the certificate is for another address"),
}  # fmt: skip
_PLAIN_HTTP = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
}
_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}


def classify(error: BaseException, *, expired: bool, began: bool, connected: bool) -> TransportFailure:
    """Return the cause of an exchange that ended with an exception.

    Args:
        error: the exception; its causes are examined.
        expired: whether our deadline has passed.
        began: whether a TCP connection was made.
        connected: whether the connection was complete, with TLS where it is used.
    """
    if expired:
        return _timeout(began=began, connected=connected)
    chain = list(_chain(error))
    for cause in chain:
        if (failure := _tls(cause)) is not None:
            return failure
    for cause in chain:
        if (failure := _connection(cause, connected=connected)) is not None:
            return failure
    # Last: to urllib3 a refused connection is a timeout, too.
    if any(isinstance(cause, (TimeoutError, urllib3.exceptions.TimeoutError)) for cause in chain):
        return _timeout(began=began, connected=connected)
    return TransportFailure("failed", f"the exchange failed ({type(error).__name__})")


def _timeout(*, began: bool, connected: bool) -> TransportFailure:
    if not began:
        return TransportFailure("connect_timeout", "no connection in time")
    if not connected:
        return TransportFailure("tls_timeout", "no TLS handshake in time")
    return TransportFailure("answer_timeout", "no answer in time")


def _tls(error: BaseException) -> TransportFailure | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        unknown = ("tls_untrusted", f"the certificate is not accepted ({error.verify_message})")
        return TransportFailure(*_CERTIFICATE.get(error.verify_code, unknown))
    if isinstance(error, ssl.SSLEOFError):
        return TransportFailure("tls_closed", "the connection was closed during the TLS handshake")
    if not isinstance(error, ssl.SSLError):
        return None
    if error.reason in _PLAIN_HTTP:
        return TransportFailure("tls_not_spoken", "the port does not speak TLS; perhaps it is plain http")
    return TransportFailure("tls_failed", f"the TLS handshake failed ({error.reason or 'unknown reason'})")


def _connection(error: BaseException, *, connected: bool) -> TransportFailure | None:
    if isinstance(error, NameTimeout):
        return TransportFailure("name_timeout", "the host name cannot be resolved now: no name server answers")
    if isinstance(error, socket.gaierror):
        return TransportFailure("name_unknown", "the host name cannot be resolved")
    if isinstance(error, ConnectionRefusedError):
        return TransportFailure("refused", "the connection was refused: nothing listens on the port")
    if isinstance(error, http.client.RemoteDisconnected):
        return TransportFailure("closed", "the connection was closed without an answer")
    if isinstance(error, (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)):
        return TransportFailure(
            "reset", f"the connection was reset {'before an answer' if connected else 'while connecting'}"
        )
    if isinstance(error, http.client.HTTPException):
        return TransportFailure("not_http", "the answer is not HTTP")
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return TransportFailure("no_route", "there is no route to the address")
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it carries: causes, contexts, reasons and arguments."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [found for found in inner if isinstance(found, BaseException)]
