"""/files: resumable uploads by the tus protocol, for any of its clients.

The options of `POST /upload` are keys of Upload-Metadata. The response to the request that completes an upload has the
id of its job in X-Job-Id; the upload has the same id.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import falcon

from api.context import Context
from api.http.auth import owner_of
from api.http.problems import Problem
from api.http.rate_limit import RateLimiter, request_client
from api.resources.job_document import job_document
from api.tus import protocol, requests
from api.tus.receiving import Reception, beyond_length
from api.tus.stored import StoredUpload, UploadState, gone
from api.uploads.acceptance import ALL_OUT_BY, JOB_ID, accept
from api.uploads.upload import UPLOAD
from store import jobs

READ_BYTES = 262_144


class TusHeaders:
    """Falcon middleware that adds the protocol's version to every response, as tus requires."""

    def process_response(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        succeeded: bool,
        params: dict[str, Any] | None = None,  # Any: Falcon's signature
    ) -> None:
        """Add the header."""
        del resource, succeeded, params
        if request.method != "OPTIONS" and f"{request.path}/".startswith(f"{protocol.ROOT}/"):
            response.set_headers(protocol.VERSION_HEADERS)


class TusResource:
    """Common parts of both resources."""

    public_methods = frozenset({"OPTIONS"})  # a browser sends a preflight request without credentials

    def __init__(self, context: Context, limiter: RateLimiter) -> None:
        """Prepare.

        Args:
            context: of the API.
            limiter: of the requests to this resource.
        """
        self._context = context
        self._limiter = limiter

    def on_options(self, request: falcon.Request, response: falcon.Response, **params: str) -> None:
        """Return what this server can do."""
        del request, params
        response.set_headers(
            {
                "Tus-Version": protocol.VERSION,
                "Tus-Extension": ",".join(protocol.EXTENSIONS),
                "Tus-Max-Size": str(self._context.settings.max_upload_size),
                "Tus-Checksum-Algorithm": ",".join(protocol.ALGORITHMS),
            }
        )
        response.status = falcon.HTTP_204

    def _body(self, request: falcon.Request, begin: Callable[[int], Reception]) -> Reception:
        """Return the reception of a request's body: the server's, or a new one that is fed here."""
        received = request.env.get(UPLOAD)
        if isinstance(received, Reception):
            return received
        self._count(request)
        reception = begin(request.content_length or 0)
        try:
            while data := request.bounded_stream.read(READ_BYTES):
                reception.feed(data)
        except BaseException:
            reception.discard()
            raise
        return reception

    def _count(self, request: falcon.Request) -> None:
        self._limiter.hit(request_client(request, behind_fly=self._context.behind_fly))

    def _end(self, reception: Reception, response: falcon.Response) -> None:
        """End a request that has appended, and create the job of a complete upload."""
        try:
            reception.end()
            offset = reception.size_bytes
            if reception.is_complete and not reception.upload.is_partial:
                headers = accept(self._context, reception).headers
                response.set_headers({name: headers[name] for name in (JOB_ID, ALL_OUT_BY) if name in headers})
        finally:
            reception.discard()
        _set_state(response, reception.upload, offset, self._context.now())

    def _set_job(self, response: falcon.Response, job_id: str) -> None:
        """Set the headers about a job that was created before."""
        response.set_header(JOB_ID, job_id)
        by = job_document(self._context, job_id)["all_out_by"]
        if by is not None:
            response.set_header(ALL_OUT_BY, by)


class FilesResource(TusResource):
    """OPTIONS and POST /files."""

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Create an upload, with its first bytes or without."""
        upload = self._joined_before(request, response)
        if upload is None:
            reception = self._body(
                request, lambda length: requests.create(self._context, owner_of(request), request.get_header, length)
            )
            upload = reception.upload
            try:
                self._end(reception, response)
            finally:
                if upload.is_final:
                    requests.end_join(self._context, upload)
        response.location = f"{protocol.ROOT}/{upload.upload_id}"  # relative: the scheme is the proxy's
        response.status = falcon.HTTP_201

    def _joined_before(self, request: falcon.Request, response: falcon.Response) -> StoredUpload | None:
        """Answer a request to join uploads again, as its first response may have got lost."""
        upload = requests.joined(self._context, owner_of(request), request.get_header)
        if upload is not None:
            self._count(request)
            self._set_job(response, upload.upload_id)
            _set_state(response, upload, upload.length or 0, self._context.now())
        return upload


class FileResource(TusResource):
    """OPTIONS, HEAD, PATCH and DELETE /files/{upload_id}; POST with X-HTTP-Method-Override."""

    def on_post(self, request: falcon.Request, response: falcon.Response, upload_id: str) -> None:
        """Serve clients that can send GET and POST only."""
        match protocol.method("POST", request.get_header):
            case "PATCH":
                self.on_patch(request, response, upload_id)
            case "DELETE":
                self.on_delete(request, response, upload_id)
            case "HEAD":
                self.on_head(request, response, upload_id)
            case _:
                raise falcon.HTTPMethodNotAllowed(["HEAD", "PATCH", "DELETE", "OPTIONS"])

    def on_head(self, request: falcon.Request, response: falcon.Response, upload_id: str) -> None:
        """Return the offset at which the client goes on."""
        protocol.check_version(request.get_header)
        self._count(request)
        upload = self._find(owner_of(request), upload_id)
        is_accepted = upload.state(self._context.now()) is UploadState.ACCEPTED
        if not is_accepted and not upload.is_partial and upload.offset == upload.length:
            # Its job could not be created then. A client that sees all of its bytes here takes the upload for done.
            self._end(self._context.receptions.begin(self._context, upload), response)
            is_accepted = True
        if is_accepted:
            self._set_job(response, upload_id)
        _set_state(response, upload, (upload.length or 0) if is_accepted else upload.offset, self._context.now())
        _set_creation_headers(response, upload)
        response.status = falcon.HTTP_200

    def on_patch(self, request: falcon.Request, response: falcon.Response, upload_id: str) -> None:
        """Append bytes to the upload."""
        if not self._is_repeated_end(request, response, upload_id):
            self._end(
                self._body(
                    request,
                    lambda length: requests.append(
                        self._context, owner_of(request), upload_id, request.get_header, length
                    ),
                ),
                response,
            )
        response.status = falcon.HTTP_204

    def on_delete(self, request: falcon.Request, response: falcon.Response, upload_id: str) -> None:
        """Delete the upload."""
        protocol.check_version(request.get_header)
        self._count(request)
        owner_id = owner_of(request)
        self._find(owner_id, upload_id)
        requests.delete(self._context, owner_id, upload_id)
        response.status = falcon.HTTP_204

    def _is_repeated_end(self, request: falcon.Request, response: falcon.Response, upload_id: str) -> bool:
        """Answer an empty request at the end of a complete upload again, as its first response may have got lost."""
        if request.env.get(UPLOAD) is not None or request.get_header("Upload-Offset") is None:
            return False
        protocol.check_version(request.get_header)
        upload = self._find(owner_of(request), upload_id)
        if upload.state(self._context.now()) is not UploadState.ACCEPTED or upload.is_final:
            return False
        if protocol.number("Upload-Offset", request.get_header("Upload-Offset")) != upload.length:
            return False
        if request.content_length:
            raise beyond_length(upload.length or 0)
        self._set_job(response, upload_id)
        _set_state(response, upload, upload.length or 0, self._context.now())
        return True

    def _find(self, owner_id: str, upload_id: str) -> StoredUpload:
        """Return an owner's upload; an unfinished one is not appended to any more.

        Raises:
            Problem: 404 without the upload; 410 if it has expired, or if the files of its job are deleted.
        """
        if protocol.upload_id(f"{protocol.ROOT}/{upload_id}") is None:
            raise requests.unknown()
        try:
            return requests.current(self._context, owner_id, upload_id)
        except Problem as problem:
            if problem.status_code == 404 and self._has_job(owner_id, upload_id):
                raise gone() from None
            raise

    def _has_job(self, owner_id: str, upload_id: str) -> bool:
        with self._context.store.reading() as connection:
            job = jobs.get(connection, upload_id)
        return job is not None and job.owner_id == owner_id


def _set_state(response: falcon.Response, upload: StoredUpload, offset: int, now: datetime) -> None:
    response.cache_control = ["no-store"]
    response.set_header("Upload-Offset", str(offset))
    expires_at = upload.expires_at
    if expires_at is not None and upload.state(now) is UploadState.RECEIVING:
        response.set_header("Upload-Expires", format_datetime(expires_at.replace(microsecond=0), usegmt=True))


def _set_creation_headers(response: falcon.Response, upload: StoredUpload) -> None:
    """Set the headers that repeat what the client told when it created the upload."""
    if upload.length is None:
        response.set_header("Upload-Defer-Length", "1")
    else:
        response.set_header("Upload-Length", str(upload.length))
    for name, value in (("Upload-Metadata", upload.metadata), ("Upload-Concat", upload.concat)):
        if value:
            response.set_header(name, value)
