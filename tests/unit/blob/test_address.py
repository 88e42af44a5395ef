from __future__ import annotations

from datetime import UTC, datetime

import pytest

from builder.blob.address import (
    AddressError,
    BlobAddress,
    hide,
    is_blob_address,
    signatures,
    without_signature,
)
from builder.redact import Redactor

WEB = "https://acct.blob.core.windows.net/vhds/web.vhd"
SAS = "sv=2024-11-04&sp=rcwd&sr=b&se=2030-01-01T00%3A00%3A00Z&sig=c2VjcmV0c2VjcmV0%2B%3D"


@pytest.mark.parametrize(
    ("uri", "service", "container", "name"),
    [
        (WEB, "https://acct.blob.core.windows.net", "vhds", "web.vhd"),
        (f"{WEB}?{SAS}", "https://acct.blob.core.windows.net", "vhds", "web.vhd"),
        (
            "HTTPS://Acct.blob.core.windows.net/vhds/A/b c.vhd",
            "https://acct.blob.core.windows.net",
            "vhds",
            "A/b c.vhd",
        ),
        (
            "https://acct.blob.core.windows.net/vhds/a%20b.vhd",
            "https://acct.blob.core.windows.net",
            "vhds",
            "a b.vhd",
        ),
        ("https://acct.blob.core.windows.net/vhds", "https://acct.blob.core.windows.net", "vhds", "out.vhd"),
        ("https://acct.blob.core.windows.net/vhds/", "https://acct.blob.core.windows.net", "vhds", "out.vhd"),
        (
            "https://acct.blob.core.windows.net/vhds/x/",
            "https://acct.blob.core.windows.net",
            "vhds",
            "x/out.vhd",
        ),
        ("https://images.example.com/vhds/web.vhd", "https://images.example.com", "vhds", "web.vhd"),
        ("http://127.0.0.1:10000/dev1/vhds/web.vhd", "http://127.0.0.1:10000/dev1", "vhds", "web.vhd"),
        ("http://localhost:10000/dev1/vhds/", "http://localhost:10000/dev1", "vhds", "out.vhd"),
        ("https://10.1.2.3/dev1/$root/web.vhd", "https://10.1.2.3/dev1", "$root", "web.vhd"),
    ],
)
def test_what_an_address_names(uri: str, service: str, container: str, name: str) -> None:
    address = BlobAddress.parse(uri, "out.vhd")
    assert (address.service, address.container, address.name) == (service, container, name)
    again = BlobAddress.parse(address.uri)
    assert (again.service, again.container, again.name) == (service, container, name)
    assert "?" not in address.uri


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("https:///vhds/web.vhd", "not the address of a blob"),
        ("https://[::1/vhds/web.vhd", "not an address"),
        ("https://acct.blob.core.windows.net:0/vhds/web.vhd", "not the address of a blob"),
        ("https://user:geheim@acct.blob.core.windows.net/vhds/web.vhd", "not the address of a blob"),
        ("https://acct.blob.core.windows.net", "names no container"),
        ("https://acct.blob.core.windows.net/VHDs/web.vhd", "cannot be the name of a container"),
        ("https://acct.blob.core.windows.net/v/web.vhd", "cannot be the name of a container"),
        ("https://acct.blob.core.windows.net/a--b/web.vhd", "cannot be the name of a container"),
        ("https://acct.blob.core.windows.net/vhds/web.", "names no blob"),
        ("https://acct.blob.core.windows.net/vhds/" + "x" * 1025, "names no blob"),
        (f"{WEB}#part", "'#' in it"),
        (f"{WEB}?comp=page", "no signature"),
        (f"{WEB}?{SAS}&snapshot=2026-01-01", "a snapshot or an old version"),
        ("http://acct.blob.core.windows.net/vhds/web.vhd", "without TLS"),
    ],
)
def test_what_is_no_address_of_a_blob(uri: str, why: str) -> None:
    with pytest.raises(AddressError, match=why) as caught:
        BlobAddress.parse(uri, "out.vhd")
    said = f"{caught.value} {caught.value.details} {caught.value.hint}"
    assert "geheim" not in said and "c2VjcmV0" not in said


def test_without_tls_only_where_it_is_allowed() -> None:
    uri = "http://acct.blob.core.windows.net/vhds/web.vhd"
    assert BlobAddress.parse(uri, insecure=True).uri == uri


def test_data_disks_lie_beside() -> None:
    address = BlobAddress.parse("https://acct.blob.core.windows.net/vhds/a/web.vhd")
    assert address.beside(3).uri == "https://acct.blob.core.windows.net/vhds/a/web-lun3.vhd"


def test_the_token_is_in_nothing_that_is_shown() -> None:
    address = BlobAddress.parse(f"{WEB}?{SAS}")
    assert address.sas == SAS
    assert "sig" not in repr(address) and "sig" not in address.uri
    redactor = Redactor()
    hide(address, redactor)
    for text in (f"GET {WEB}?{SAS}", "sig=c2VjcmV0c2VjcmV0%2B%3D", "c2VjcmV0c2VjcmV0+="):
        assert "c2VjcmV0" not in redactor.scrub(text)
    assert without_signature(f"at {WEB}?{SAS}'") == f"at {WEB}?{SAS.rpartition('=')[0]}=****'"


@pytest.mark.parametrize(
    ("uri", "secrets"),
    [
        (WEB, []),
        (f"{WEB}?comp=list", []),
        (f"{WEB}?sig=ab", []),
        ("no address ? at all", []),
        (f"{WEB}?sp=r&sig=a%2Bbc#x", ["sp=r&sig=a%2Bbc", "a+bc"]),
    ],
)
def test_what_is_secret_in_an_address(uri: str, secrets: list[str]) -> None:
    assert signatures(uri) == secrets


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("sp=r&sig=abc", "grants 'r'; 'wd' is missing"),
        ("sp=rcw&sig=abc", "'d' is missing"),
        ("sp=rcwd&se=2026-01-01T00:00:00Z&sig=abc", "ended at 2026-01-01 00:00 UTC"),
        ("sp=rcwd&se=2026-01-01&sig=abc", "ended at 2026-01-01 00:00 UTC"),
    ],
)
def test_a_token_that_says_itself_that_it_will_not_do(token: str, why: str) -> None:
    address = BlobAddress.parse(f"{WEB}?{token}")
    with pytest.raises(AddressError, match=why) as caught:
        address.check_sas(datetime(2026, 6, 1, tzinfo=UTC))
    assert "--permissions rcwd" in (caught.value.hint or "")


@pytest.mark.parametrize("token", [SAS, "sp=racwd&sig=abc", "si=policy&sig=abc", "sp=rwd&se=odd&sig=abc"])
def test_a_token_that_may_do(token: str) -> None:
    BlobAddress.parse(f"{WEB}?{token}").check_sas(datetime(2026, 6, 1, tzinfo=UTC))


def test_a_token_for_https_on_http_is_told() -> None:
    address = BlobAddress.parse("http://127.0.0.1:1/a/vhds/web.vhd?sp=rcwd&spr=https&sig=abc")
    with pytest.raises(AddressError, match="for https only"):
        address.check_sas()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [(WEB, True), ("HTTP://x", True), ("file:///a.vhd", False), ("a.vhd", False), ("s3://b", False)],
)
def test_what_leaves_this_machine(uri: str, expected: bool) -> None:
    assert is_blob_address(uri) is expected
