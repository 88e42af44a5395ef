"""Downloads from a real server on a real socket that drops, lies, changes its mind, and goes on."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fetcher import DATA, MIB, SHA, Fetcher, quick
from web import Page, Web, web_server

from builder.deadline import Deadline
from builder.download import exchange, transfer
from builder.download.errors import DownloadError
from builder.download.fetch import fetch
from builder.download.network import Network
from builder.errors import BuildTimeoutError, EnvironmentProblem, NotFoundError
from builder.events import WaitProgress, WaitStarted


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


def test_a_large_file_comes_in_parts(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA)
    assert get(f"{web.url}/a") == DATA
    ranges = sorted(wanted for wanted, _ in web.requests("/a"))
    assert len(ranges) == 4 and ranges[0] == "", ranges
    progress = [event for event in get.events if isinstance(event, WaitProgress)]
    assert (progress[-1].done, progress[-1].total) == (len(DATA), len(DATA))


@pytest.mark.parametrize(
    "page",
    [
        Page(DATA, ranges=False),
        Page(DATA, etag='W/"weak"'),
        Page(DATA, etag=""),
        Page(DATA, chunked=True),
        Page(DATA[: 2 * MIB]),
        Page(b""),
    ],
    ids=["no ranges", "weak", "no etag", "no length", "small", "empty"],
)
def test_one_stream_where_parts_are_not_sure(web: Web, get: Fetcher, page: Page) -> None:
    web.pages["/a"] = page
    assert get(f"{web.url}/a") == page.data
    assert web.requests("/a") == [("", 200)]


def test_a_server_that_promises_ranges_and_gives_none(web: Web, get: Fetcher) -> None:
    """The first connection reads to the end what the others were refused."""

    def ignore(page: Page, number: int) -> None:
        page.ranges = number == 0

    web.pages["/a"] = Page(DATA, on_request=ignore, rate=8 * MIB)
    assert get(f"{web.url}/a") == DATA
    assert all(status == 200 for _, status in web.requests("/a"))


def test_ranges_that_begin_elsewhere_are_not_taken(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA, wrong_start=7)
    assert get(f"{web.url}/a") == DATA


def test_dropped_connections_go_on_where_they_stopped(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA, cuts=[300_000, 200_000, 100_000, 50_000, 5, 0, 70_000])
    assert get(f"{web.url}/a") == DATA
    assert len(web.log) == 4 + 7
    starts = [int(wanted[6:].partition("-")[0]) for wanted, _ in web.requests("/a") if wanted]
    assert 300_000 in starts


def test_many_drops_are_no_end_while_something_comes(web: Web, get: Fetcher, monkeypatch) -> None:
    monkeypatch.setattr(exchange, "PROGRESS", 100_000)
    web.pages["/a"] = Page(DATA, ranges=True, etag='"x"', cuts=[250_000] * 60)
    get.network = Network(connections=1)
    assert get(f"{web.url}/a") == DATA
    assert len(web.log) > exchange.ATTEMPTS


def test_a_server_that_always_drops_is_given_up(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA, ranges=False, cuts=[1000] * 50)
    with pytest.raises(DownloadError, match="attempt 10 of 10") as caught:
        get(f"{web.url}/a")
    assert "1000 bytes" in caught.value.details[0]
    assert not get.dest.exists()


def test_too_long_a_promise_is_found_out(web: Web, get: Fetcher) -> None:
    """With a digest the file is taken as it is, without one nobody could know that it is whole."""
    web.pages["/a"] = Page(DATA[:MIB], announce=2 * MIB)
    with pytest.raises(DownloadError, match="wrong length"):
        get(f"{web.url}/a")
    assert get(f"{web.url}/a", hashlib.sha256(DATA[:MIB]).hexdigest()) == DATA[:MIB]


def test_too_short_a_promise_is_found_out_by_the_digest(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA[:MIB], announce=1000)
    with pytest.raises(DownloadError, match="is not the file that was promised"):
        get(f"{web.url}/a", hashlib.sha256(DATA[:MIB]).hexdigest())
    assert list(get.folder.iterdir()) == []


def test_wrong_bytes_of_one_mirror_are_replaced_by_anothers(web: Web, get: Fetcher) -> None:
    wrong = bytearray(DATA)
    wrong[3 * MIB] ^= 1
    web.pages["/wrong"] = Page(bytes(wrong), etag='"w"')
    web.pages["/right"] = Page(DATA, etag='"r"')
    urls = [f"{web.url}/none", f"{web.url}/wrong", f"{web.url}/right"]
    assert get(urls, SHA) == DATA
    with pytest.raises(DownloadError, match="None of the 2 addresses of none has it") as caught:
        get([*urls[:2]], "0" * 64)
    text = "\n".join(caught.value.details)
    assert (
        "/none does not exist" in text and "/wrong is not the file" in text and "expected sha256 0000" in text
    )


def test_the_rest_comes_from_another_mirror(web: Web, get: Fetcher) -> None:
    get.network = Network(connections=1)
    web.pages["/a"] = Page(DATA, etag='"a"', cuts=[2 * MIB, *[0] * 9])
    web.pages["/b"] = Page(DATA, etag='"b"')
    assert get([f"{web.url}/a", f"{web.url}/b"], SHA) == DATA
    assert web.requests("/b") == [(f"bytes={2 * MIB}-", 206)]


def test_without_a_digest_mirrors_are_not_mixed(web: Web, get: Fetcher) -> None:
    get.network = Network(connections=1)
    web.pages["/a"] = Page(DATA, etag='"a"', cuts=[2 * MIB, *[0] * 9])
    web.pages["/b"] = Page(DATA, etag='"b"')
    assert get([f"{web.url}/a", f"{web.url}/b"]) == DATA
    assert web.requests("/b") == [("", 200)]


def test_a_file_that_changes_in_the_middle_is_fetched_anew(web: Web, get: Fetcher) -> None:
    newer = DATA[::-1]

    def change(page: Page, number: int) -> None:
        if number == 2:
            page.data, page.etag = newer, '"two"'

    web.pages["/a"] = Page(DATA, on_request=change)
    assert get(f"{web.url}/a") == newer


def test_a_file_that_changes_between_two_attempts(web: Web, get: Fetcher) -> None:
    newer = DATA[::-1]

    def change(page: Page, number: int) -> None:
        if number == 1:
            page.data, page.etag = newer, '"two"'

    web.pages["/a"] = Page(DATA, cuts=[MIB], on_request=change)
    get.network = Network(connections=1)
    assert get(f"{web.url}/a") == newer
    assert web.requests("/a") == [("", 200), (f"bytes={MIB}-", 200)]


def test_a_file_that_never_stays_the_same_is_an_error(web: Web, get: Fetcher) -> None:
    def change(page: Page, number: int) -> None:
        page.etag = f'"{number}"'

    web.pages["/a"] = Page(DATA, on_request=change)
    with pytest.raises(DownloadError, match="another file at every attempt"):
        get(f"{web.url}/a")


def test_redirects_are_followed_also_to_another_host(web: Web, get: Fetcher) -> None:
    with web_server() as other:
        other.pages["/b"] = Page(DATA)
        web.pages["/a"] = Page(b"", location="/c")
        web.pages["/c"] = Page(b"", location=f"{other.url}/b")
        assert get(f"{web.url}/a") == DATA
        assert len(other.log) == 4


def test_redirects_in_a_circle_and_to_other_schemes(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(b"", location="/b")
    web.pages["/b"] = Page(b"", location="/a")
    with pytest.raises(DownloadError, match="maximum allowed redirects"):
        get(f"{web.url}/a")
    web.pages["/c"] = Page(b"", location="ftp://host.example/x")
    with pytest.raises(DownloadError, match="leads to an address that is not http"):
        get(f"{web.url}/c")


def test_a_busy_server_is_given_its_time(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA, statuses=[503, 429], headers={"Retry-After": "1"})
    begun = time.monotonic()
    assert get(f"{web.url}/a") == DATA
    assert 2.0 <= time.monotonic() - begun < 10


def test_a_server_that_takes_two_at_a_time_gets_two(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA, at_once=2, rate=4 * MIB)
    assert get(f"{web.url}/a") == DATA
    refused = [status for _, status in web.requests("/a") if status == 503]
    assert 0 < len(refused) <= 5


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFoundError), (403, DownloadError), (400, DownloadError)]
)
def test_what_cannot_get_better_fails_at_once(web: Web, get: Fetcher, status: int, kind: type) -> None:
    web.pages["/a"] = Page(DATA, statuses=[status] * 3)
    with pytest.raises(kind, match=str(status)):
        get(f"{web.url}/a?sig=secret", SHA)
    assert len(web.log) == 1


def test_the_deadline_ends_a_slow_drip(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA, rate=100_000)
    begun = time.monotonic()
    with pytest.raises(BuildTimeoutError):
        get(f"{web.url}/a", seconds=1.5)
    assert time.monotonic() - begun < 6


def test_a_stalled_connection_is_replaced(web: Web, get: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_STALL_SECONDS", 0.5)
    monkeypatch.setattr(transfer, "_STALL_BYTES", 100_000)

    def faster(page: Page, number: int) -> None:
        page.rate = 0.0 if number else 20_000

    web.pages["/a"] = Page(DATA[:MIB], on_request=faster)
    assert get(f"{web.url}/a") == DATA[:MIB]
    assert len(web.log) == 2


def test_what_a_stopped_download_left_is_taken_up_in_every_part(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA, rate=MIB)
    with pytest.raises(BuildTimeoutError):
        get(f"{web.url}/a", seconds=1.0)
    assert sorted(path.name for path in get.folder.iterdir()) == ["disk.img.part", "disk.img.spans.part"]
    web.log.clear()
    web.pages["/a"].rate = 0
    assert get(f"{web.url}/a") == DATA
    asked = [wanted[6:].split("-") for wanted, status in web.requests("/a") if status == 206]
    assert len(asked) == 4
    brought = sum((int(last) + 1 if last else len(DATA)) - int(first) for first, last in asked)
    assert brought < len(DATA) - 2 * MIB


def test_no_room_is_said_before_anything_is_written(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(b"x", announce=2**60)
    with pytest.raises(EnvironmentProblem, match="has no room for a file of 1099511627776 MiB"):
        get(f"{web.url}/a")
    assert not get.dest.exists()


def test_of_two_that_want_the_same_file_one_downloads(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA, rate=2 * MIB)
    second = Fetcher(get.folder)
    errors: list[BaseException] = []

    def also() -> None:
        try:
            fetch(
                f"{web.url}/a", second.dest, sha256=SHA,
                deadline=Deadline(60), bus=second.bus, network=Network(),
            )  # fmt: skip
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=also) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert get.dest.read_bytes() == DATA
    assert len(web.requests("/a")) == 4
    waits = [event.what for event in second.events if isinstance(event, WaitStarted)]
    assert sum(what.startswith("Waiting for another download of http") for what in waits) == 2
    assert [path.name for path in get.folder.iterdir()] == ["disk.img"]


def test_sha512_proves_as_well(web: Web, get: Fetcher) -> None:
    web.pages["/a"] = Page(DATA)
    assert get(f"{web.url}/a", sha512=hashlib.sha512(DATA).hexdigest().upper()) == DATA
    get.dest.unlink()
    with pytest.raises(DownloadError, match="promised"):
        get(f"{web.url}/a", sha512="0" * 128)
