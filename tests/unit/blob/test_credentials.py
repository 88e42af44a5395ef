from __future__ import annotations

import sys
from pathlib import Path

import pytest

from builder.blob import client
from builder.blob.address import BlobAddress
from builder.blob.credentials import SignInProblem, choose
from builder.errors import EnvironmentProblem

WEB = BlobAddress.parse("https://acct.blob.core.windows.net/vhds/web.vhd")
SIGNED = BlobAddress.parse(f"{WEB.uri}?sp=rcwd&sr=b&sig=abc")
LOCAL = BlobAddress.parse("http://127.0.0.1:10000/dev1/vhds/web.vhd")
KEY = "c2VjcmV0a2V5"
STRING = f"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={KEY};EndpointSuffix=core.windows.net"
LOCAL_STRING = f"AccountName=dev1;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:10000/dev1;"


@pytest.mark.parametrize(
    ("address", "environment", "kind", "how"),
    [
        (SIGNED, {"AZURE_STORAGE_CONNECTION_STRING": STRING}, "sas", "the SAS token in the uri"),
        (
            WEB,
            {"AZURE_STORAGE_CONNECTION_STRING": STRING, "AZURE_STORAGE_KEY": "eA=="},
            "key",
            "AZURE_STORAGE_CONNECTION_STRING",
        ),
        (LOCAL, {"AZURE_STORAGE_CONNECTION_STRING": LOCAL_STRING}, "key", "AZURE_STORAGE_CONNECTION_STRING"),
        (
            WEB,
            {
                "AZURE_STORAGE_CONNECTION_STRING": "BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature=sig=a"
            },
            "sas",
            "AZURE_STORAGE_CONNECTION_STRING",
        ),
        (
            WEB,
            {"AZURE_STORAGE_CONNECTION_STRING": LOCAL_STRING, "AZURE_STORAGE_KEY": KEY},
            "key",
            "AZURE_STORAGE_KEY",
        ),
        (WEB, {"AZURE_STORAGE_KEY": KEY, "AZURE_STORAGE_SAS_TOKEN": "?sig=a"}, "key", "AZURE_STORAGE_KEY"),
        (
            WEB,
            {"AZURE_STORAGE_ACCOUNT": "acct", "AZURE_STORAGE_SAS_TOKEN": "?sig=a"},
            "sas",
            "AZURE_STORAGE_SAS_TOKEN",
        ),
        (
            WEB,
            {"AZURE_STORAGE_ACCOUNT": "other", "AZURE_STORAGE_KEY": KEY},
            "identity",
            "DefaultAzureCredential",
        ),
        (WEB, {}, "identity", "DefaultAzureCredential"),
    ],
)
def test_the_order(address: BlobAddress, environment: dict[str, str], kind: str, how: str) -> None:
    found = choose(address, environment)
    assert (found.kind, found.how) == (kind, how)
    assert KEY not in repr(found) and "sig=" not in repr(found)


def test_what_is_of_another_account_is_passed_over_and_told() -> None:
    found = choose(
        WEB,
        {
            "AZURE_STORAGE_CONNECTION_STRING": LOCAL_STRING,
            "AZURE_STORAGE_ACCOUNT": "other",
            "AZURE_STORAGE_KEY": KEY,
        },
    )
    assert found.kind == "identity"
    assert found.passed_over == (
        "AZURE_STORAGE_CONNECTION_STRING is of http://127.0.0.1:10000/dev1, "
        "not of https://acct.blob.core.windows.net",
        "AZURE_STORAGE_KEY is of AZURE_STORAGE_ACCOUNT=other, not of acct",
    )


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"AZURE_STORAGE_CONNECTION_STRING": KEY}, "is no connection string"),
        ({"AZURE_STORAGE_CONNECTION_STRING": "AccountName=acct"}, "neither AccountKey nor"),
        ({"AZURE_STORAGE_CONNECTION_STRING": "AccountName=acct;AccountKey=ge-heim"}, "is not base64"),
        ({"AZURE_STORAGE_KEY": "ge-heim"}, "is not base64"),
    ],
)
def test_what_cannot_be_one(environment: dict[str, str], why: str) -> None:
    with pytest.raises(SignInProblem, match=why) as caught:
        choose(WEB, environment)
    assert caught.value.exit_code == 3
    assert "ge-heim" not in f"{caught.value} {caught.value.details} {caught.value.hint}"


def test_a_login_is_not_sent_without_tls() -> None:
    with pytest.raises(SignInProblem, match="for https only") as caught:
        choose(LOCAL, {})
    assert "AZURE_STORAGE_KEY" in (caught.value.hint or "")


def test_a_token_of_a_blob_does_not_read_its_snapshots() -> None:
    assert not choose(SIGNED, {}).reads_snapshots
    assert choose(WEB, {"AZURE_STORAGE_KEY": KEY}).reads_snapshots
    assert choose(WEB, {"AZURE_STORAGE_SAS_TOKEN": "ss=b&srt=o&sp=rwd&sig=a"}).reads_snapshots


@pytest.mark.parametrize(
    ("module", "need"),
    [("azure.storage.blob", client.require_storage), ("azure.identity", client.require_identity)],
)
def test_a_missing_package_is_told_with_the_command(
    module: str, need: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EnvironmentProblem, match="is not installed") as caught:
        need()  # type: ignore[operator]
    assert "-m pip install azure-storage-blob azure-identity" in (caught.value.hint or "")
