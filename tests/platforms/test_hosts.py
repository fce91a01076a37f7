"""The hosts of the platforms, and the check of the upload addresses that they name."""

from __future__ import annotations

import pytest

from platforms.errors import OperatorNeeded
from platforms.instagram.hosts import MetaHosts
from platforms.mock.roots import mock_hosts
from platforms.tiktok.hosts import TikTokHosts
from platforms.youtube.hosts import GoogleHosts

MOCK = mock_hosts("http://127.0.0.1:9100")


@pytest.mark.parametrize(
    "url",
    [
        "https://open-upload.tiktokapis.com/video/?upload_id=1&upload_token=2",
        "https://open-upload-i18n.tiktokapis.com/upload/v1",
        "https://upload.us.tiktokapis.com/video/?upload_id=1",
        "https://open-upload.tiktokapis.com:443/video/",
    ],
)
def test_tiktoks_own_upload_hosts_are_accepted(url: str) -> None:
    """They are accepted with the default roots and beside a configured root."""
    assert TikTokHosts().accept_upload(url) == url
    assert TikTokHosts.at(MOCK).accept_upload(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://open-upload.tiktokapis.com/video/",
        "https://open-upload.tiktokapis.com:8443/video/",
        "https://open-upload.tiktokapis.com.evil.example/video/",
        "https://evil.example/open-upload.tiktokapis.com",
        "https://open-upload.tiktokapis.com@evil.example/video/",
        "https://a:b@open-upload.tiktokapis.com/video/",
        "https://open-upload.tiktokapis.com\\@evil.example/",
        "https://open-upload.tiktokapis.com/video/\r\nHost: evil",
        "https://evil.tiktokapis.com/video/",
        "https://127.0.0.1/video/",
        "file:///etc/passwd",
        "https://open-upload.tiktokapis.com:99999/",
        "//open-upload.tiktokapis.com/",
        "",
    ],
)
def test_addresses_that_only_look_like_tiktoks_are_refused(url: str) -> None:
    """The error does not quote the address."""
    for hosts in (TikTokHosts(), TikTokHosts.at(MOCK)):
        with pytest.raises(OperatorNeeded) as caught:
            hosts.accept_upload(url)
        assert caught.value.code == "foreign_address"
        assert not url or url not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("http://127.0.0.1:9100/tiktok-upload/video/?upload_id=1", True),
        ("http://127.0.0.1:9100/tiktok-upload", True),
        ("http://127.0.0.1:9100/tiktok-upload?x=1", True),
        ("http://127.0.0.1:9100/tiktok-uploads/video", False),
        ("http://127.0.0.1:9100/tiktok-upload/../mock/posts", False),
        ("http://127.0.0.1:9100/tiktok-upload/%2e%2E/mock/posts", False),
        ("http://127.0.0.1:9100/mock/posts", False),
        ("http://127.0.0.1:91000/tiktok-upload/video", False),
        ("http://127.0.0.1:9100@evil.example/tiktok-upload/video", False),
        ("http://127.0.0.1:9101/tiktok-upload/video", False),
    ],
)
def test_a_configured_root_is_accepted_exactly(url: str, accepted: bool) -> None:
    """Scheme, host, port and path must match, up to a path separator."""
    if accepted:
        assert TikTokHosts.at(MOCK).accept_upload(url) == url
    else:
        with pytest.raises(OperatorNeeded):
            TikTokHosts.at(MOCK).accept_upload(url)


def test_each_platform_has_its_own_hosts() -> None:
    """A platform cannot name an upload address of another platform."""
    meta = "https://rupload.facebook.com/ig-api-upload/v26.0/1"
    google = "https://www.googleapis.com/upload/youtube/v3/videos?upload_id=1"

    assert MetaHosts().accept_upload(meta) == meta
    assert GoogleHosts().accept_session(google) == google
    for accept, foreign in [
        (MetaHosts().accept_upload, google),
        (GoogleHosts().accept_session, meta),
        (MetaHosts().accept_upload, "https://graph.facebook.com/1"),
        (GoogleHosts().accept_session, "https://googleapis.com.evil.example/1"),
        (GoogleHosts().accept_session, "https://evilgoogleapis.com/1"),
    ]:
        with pytest.raises(OperatorNeeded):
            accept(foreign)


def test_links_of_the_real_platforms_are_theirs() -> None:
    """With the roots of the mock, links lead to the mock."""
    assert GoogleHosts().link("abc") == "https://www.youtube.com/shorts/abc"
    assert TikTokHosts().link("me", "7") == "https://www.tiktok.com/@me/video/7"
    assert GoogleHosts.at(MOCK).link("abc") == "http://127.0.0.1:9100/youtube-api/shorts/abc"
