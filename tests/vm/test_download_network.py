"""Downloads that need no network, ask whether there is news, or go by a proxy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fetcher import DATA, SHA, Fetcher, quick
from web import Page, Web, web_server

from builder.deadline import Deadline
from builder.download.cache import DownloadCache
from builder.download.errors import DownloadError, OfflineError
from builder.download.network import Network
from builder.errors import EnvironmentProblem


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


@pytest.fixture
def get(tmp_path: Path) -> Fetcher:
    folder = tmp_path / "downloads"
    folder.mkdir()
    return Fetcher(folder)


def test_offline_fetches_nothing_and_says_where_the_file_would_be(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA)
    get.network = Network(offline=True)
    with pytest.raises(OfflineError, match="is not on this machine") as caught:
        get(f"{web.url}/a", SHA)
    assert str(get.dest) in str(caught.value.hint)
    assert web.log == []
    get.dest.write_bytes(DATA)
    assert get(f"{web.url}/a", SHA) == DATA
    assert web.log == []


def test_the_cache_asks_before_it_takes_a_file_without_digest_again(web: Web, get: Fetcher) -> None:
    cache, url = DownloadCache(get.folder), f"{web.url}/SHA256SUMS"
    web.pages["/SHA256SUMS"] = Page(b"one\n", etag='"1"')

    def take(network: Network | None = None) -> bytes:
        return cache.fetch(url, deadline=Deadline(60), bus=get.bus, network=network or Network()).read_bytes()

    assert take() == take() == b"one\n"
    assert [status for _, status in web.requests("/SHA256SUMS")] == [200, 304]
    web.pages["/SHA256SUMS"] = Page(b"two\n", etag='"2"')
    assert take(Network(offline=True)) == b"one\n"
    assert take() == b"two\n"


def test_a_proxy_carries_it_all_but_its_password_is_not_shown(web: Web, get: Fetcher) -> None:
    """The double answers as a proxy does: it is asked with the whole address."""
    proxy = web.url.replace("http://", "http://user:geheim@")
    web.pages["/a"] = Page(DATA)
    get.network = Network(proxy=proxy)
    assert get("http://images.example/a") == DATA
    assert any("Proxy-Authorization" in headers for headers in web.headers)
    assert "geheim" not in repr(get.network)
    web.pages["/b"] = Page(DATA, statuses=[407])
    with pytest.raises(DownloadError) as caught:
        get("http://images.example/b")
    assert "geheim" not in f"{caught.value} {caught.value.details} {caught.value.hint}"


def test_no_proxy_is_heeded_with_a_proxy_of_the_settings(
    web: Web, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        get.network = Network(proxy=f"http://user:geheim@127.0.0.1:{taken.getsockname()[1]}")
        web.pages["/a"] = Page(DATA)
        with pytest.raises(DownloadError) as caught:
            get(f"{web.url}/a")
        assert "geheim" not in f"{caught.value} {caught.value.details}"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert get(f"{web.url}/a") == DATA


def test_the_environments_proxy_is_used(web: Web, get: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", web.url)
    web.pages["/a"] = Page(DATA)
    assert get("http://images.example/a") == DATA
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(EnvironmentProblem, match="SOCKS"):
        get("http://images.example/b")
