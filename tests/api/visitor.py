"""A browser that connects accounts: keeps cookies, and follows redirects to the mock platforms."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import requests
from falcon.testing import Result, TestClient

from api.app import create_app
from api.context import Context
from tests.api.conftest import sign_in

PREFIX = "vidprod_connect_"


class Visitor:
    """A browser: keeps the cookies of our application, and follows redirects to the mock platforms."""

    def __init__(self, context: Context, *, host: str | None = None, session: bool = True) -> None:
        self.host = host or urlsplit(context.settings.root_url).netloc
        self.client = TestClient(create_app(context))
        self.cookies: dict[str, str] = {}
        if session:
            self.cookies[context.keys.cookies.name("vidprod_session")] = sign_in(context)

    def get(self, address: str, **headers: str) -> Result:
        """Open an address of ours."""
        parts = urlsplit(address)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = {"Host": self.host, "Cookie": cookies} | {k.replace("_", "-"): v for k, v in headers.items()}
        answer = self.client.simulate_get(parts.path, query_string=parts.query, headers=given)
        for morsel in answer.cookies.values():
            self.cookies.pop(morsel.name, None)
            if morsel.value:
                self.cookies[morsel.name] = morsel.value
        return answer

    def connect(self, address: str) -> dict[str, str]:
        """Begin a login; return the parameters with which the platform sends the browser back."""
        return at_the_platform(self.get(address))

    def come_back(self, platform: str, said: dict[str, str]) -> Result:
        """Return from the platform."""
        query = "&".join(f"{name}={value}" for name, value in said.items())
        return self.get(f"/connect/{platform}/callback?{query}")

    def pending(self) -> list[str]:
        """Return the names of the cookies of logins."""
        return [name for name in self.cookies if PREFIX in name]


def at_the_platform(begun: Result) -> dict[str, str]:
    """Do what the browser does: go to the platform and bring back what it says."""
    assert begun.status_code == 303, begun.text
    back = requests.get(begun.headers["location"], allow_redirects=False, timeout=30)
    assert back.is_redirect, back.text
    return {name: values[0] for name, values in parse_qs(urlsplit(back.headers["Location"]).query).items()}
