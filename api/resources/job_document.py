"""Reads the status document of a job from the store."""

from __future__ import annotations

from api.context import Context
from api.http.problems import not_found
from api.resources import documents, status_document
from store import accounts, jobs, platform_states, post_settings, publications, segments


def job_document(context: Context, job_id: str) -> documents.JobDocument:
    """Return the status document of a job; a 404 if there is none."""
    forecast = context.forecasts.get(context)
    with context.store.reading() as connection:
        job = jobs.get(connection, job_id)
        if job is None:
            raise not_found("job")
        parts = segments.of_job(connection, job_id)
        posts = publications.of_job(connection, job_id)
        ids = {post.account_id for post in posts}
        named = [account for account in (accounts.get(connection, known) for known in ids) if account]
        outages = platform_states.list_out(connection)
        settings = post_settings.of_job(connection, job_id)
    stored = context.stored_files.of_job(context.files, job, parts, context.now_s())
    return status_document.document(job, parts, posts, named, stored, forecast, outages, settings)


def publication_document(context: Context, job_id: str, publication_id: str) -> documents.PublicationDocument:
    """Return a publication as the status document of its job shows it."""
    found = [post for part in job_document(context, job_id)["segments"] for post in part["publications"]]
    return next(post for post in found if post["id"] == publication_id)
