"""Lists in pages: each entry once, also when entries are added or deleted between two pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from falcon.testing import TestClient

from actors.flow import endpoint_commands, job_commands
from api.context import Context
from store import accounts, jobs
from store.owners import DEFAULT_OWNER
from store.webhooks import Endpoint
from tests.api.test_openapi import dead_letter
from tests.store import rows

COUNT = 5


def endpoint(context: Context, number: int = 1) -> Endpoint:
    with context.store.writing(scope="everything") as connection:
        url = f"https://hooks.example.com/{number}"
        return job_commands.add_endpoint(context, connection, DEFAULT_OWNER, url, scope="all", events=[])


def fill_endpoints(context: Context) -> str:
    for number in range(COUNT):
        endpoint(context, number)
    return "/webhooks"


def fill_deliveries(context: Context) -> str:
    found = endpoint(context)
    for _ in range(COUNT):
        assert endpoint_commands.ping(context, found.id)
    return f"/webhooks/{found.id}/deliveries"


def fill_dead_letters(context: Context) -> str:
    for _ in range(COUNT):
        dead_letter(context)
    return "/dead-letters"


def fill_accounts(context: Context) -> str:
    with context.store.writing(scope="everything") as connection:
        for number in range(COUNT):
            platform = ("tiktok", "youtube")[number % 2]
            account = replace(rows.account(f"{platform}-{number}", platform), remote_id=str(number))
            accounts.connect(connection, replace(account, created_at=context.now() - timedelta(hours=number // 3)))
    return "/accounts"


def fill_jobs(context: Context) -> str:
    with context.store.writing(scope="everything") as connection:
        for number in range(COUNT):
            jobs.create(connection, replace(rows.job(), id=f"job-{number}"))
    return "/jobs"


FILLS = [fill_endpoints, fill_deliveries, fill_dead_letters, fill_accounts, fill_jobs]


def names(entries: list[dict[str, object]]) -> list[object]:
    return [entry.get("id", entry.get("job_id")) for entry in entries]


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_all_pages_together_are_the_list(
    context: Context, client: TestClient, fill: Callable[[Context], str], limit: int
) -> None:
    address = fill(context)
    (key,) = [name for name, value in client.simulate_get(address).json.items() if isinstance(value, list)]
    whole = names(client.simulate_get(address).json[key])
    assert len(set(whole)) == COUNT
    found, cursor = [], None
    for _ in range(COUNT):
        params = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
        page = client.simulate_get(address, params=params).json
        assert 1 <= len(page[key]) <= limit
        found += names(page[key])
        if (cursor := page["next"]) is None:
            break
    assert (found, cursor) == (whole, None)


@pytest.mark.parametrize("fill", FILLS)
def test_a_cursor_that_is_none_is_refused(context: Context, client: TestClient, fill: Callable[[Context], str]) -> None:
    answer = client.simulate_get(fill(context), params={"cursor": "nonsense"})
    assert (answer.status_code, answer.json["field"]) == (400, "cursor")


def test_an_account_that_is_disconnected_between_two_pages_hides_no_other(context: Context, client: TestClient) -> None:
    fill_accounts(context)
    first = client.simulate_get("/accounts", params={"limit": "2"}).json
    rest = names(client.simulate_get("/accounts").json["accounts"])[2:]
    client.simulate_delete(f"/accounts/{first['accounts'][1]['id']}")
    second = client.simulate_get("/accounts", params={"limit": "9", "cursor": first["next"]}).json
    assert names(second["accounts"]) == rest
