"""Lists of checksums as publishers write them."""

import pytest

from builder.download.checksums import PublishedSums, find_digest, parse_sums
from builder.download.errors import DownloadError
from builder.errors import NotFoundError

A, B = "a" * 64, "B" * 64
UBUNTU = f"{A} *noble-server-cloudimg-amd64.img\n{B} *noble-server-cloudimg-amd64.tar.gz\n"
DEBIAN = f"{'c' * 128}  debian-12-generic-amd64.qcow2\r\n{'d' * 128}  ./debian-12-generic-amd64.raw\r\n"
ROCKY = f"""\
# Rocky-9-GenericCloud.latest.x86_64.qcow2: 12 bytes
SHA256 (Rocky-9-GenericCloud.latest.x86_64.qcow2) = {A}
SHA512 (Rocky-9-GenericCloud.latest.x86_64.qcow2) = {"e" * 128}
SHA256 (name (with) parens) = {B}
"""


@pytest.mark.parametrize(
    ("text", "name", "algorithm", "digest"),
    [
        (UBUNTU, "noble-server-cloudimg-amd64.img", "sha256", A),
        (UBUNTU, "noble-server-cloudimg-amd64.tar.gz", "sha256", B.lower()),
        (DEBIAN, "debian-12-generic-amd64.qcow2", "sha512", "c" * 128),
        (DEBIAN, "debian-12-generic-amd64.raw", "sha512", "d" * 128),
        (ROCKY, "Rocky-9-GenericCloud.latest.x86_64.qcow2", "sha256", A),
        (ROCKY, "Rocky-9-GenericCloud.latest.x86_64.qcow2", "sha512", "e" * 128),
        (ROCKY, "name (with) parens", "sha256", B.lower()),
    ],
)
def test_the_digest_of_a_name(text, name, algorithm, digest):
    assert find_digest(text, name, algorithm) == digest


def test_a_name_that_is_not_there_is_an_error_with_the_closest():
    with pytest.raises(NotFoundError, match=r"SUMS has no sha256 checksum of noble-server.img") as caught:
        find_digest(UBUNTU, "noble-server.img", "sha256", "SUMS")
    assert "noble-server-cloudimg-amd64.img" in caught.value.details[0]
    with pytest.raises(NotFoundError):
        find_digest(DEBIAN, "debian-12-generic-amd64.qcow2", "sha256")


def test_a_list_that_contradicts_itself_is_no_proof():
    with pytest.raises(DownloadError, match="2 different checksums of x"):
        find_digest(f"{A}  x\n{B}  x\n", "x", "sha256")
    assert find_digest(f"{A}  x\n{A} *x\n", "x", "sha256") == A


def test_what_is_no_checksum_is_passed_over():
    text = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nabc  short\n{A}\n{A} y\n{A}  x\n"
    assert parse_sums(text, "sha256") == [("x", A)]


def test_a_signature_that_nobody_could_prove_is_refused():
    with pytest.raises(ValueError, match="address"):
        PublishedSums("https://h.example/S", keyring="k")
    with pytest.raises(ValueError, match="keyring"):
        PublishedSums("https://h.example/S", style="inline")
    assert PublishedSums("https://h.example/S", style="none").algorithm == "sha256"
