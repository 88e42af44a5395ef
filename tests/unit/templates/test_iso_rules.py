"""An ISO source: what its `x-goldsmith` may say, and what stays valid in Azure's old API versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import templates
from templates.diagnostics import TemplateError

AT = "/properties/source/x-goldsmith"
SCOPE = templates.DeploymentScope("SUB", "GRP", "local")


def judged(tmp_path: Path, *, strict: bool = False, version: str = "2019-05-01-preview", **source):
    """(code, pointer) of everything that is said about a template with that source."""
    address = {"sourceUri": "a.iso"} if version >= "2019-05" else {"sourceURI": "a.iso"}
    data = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": version,
        "name": "iso",
        "location": "local",
        "properties": {
            "source": {"type": "ISO", **address, "sha256Checksum": "0" * 64, **source},
            "distribute": [{"type": "VHD", "runOutputName": "out"}],
        },
    }
    file = tmp_path / "t.json"
    file.write_text(json.dumps(data))
    try:
        found = templates.read(file, strict=strict, defaults=SCOPE).diagnostics
    except TemplateError as error:
        found = error.diagnostics
    return [(one.code, one.location.pointer) for one in found]


@pytest.mark.parametrize("version", ["2019-02-01-preview", "2019-05-01-preview"])
def test_without_our_part_it_is_azures(tmp_path, version):
    assert judged(tmp_path, strict=True, version=version) == []


def test_our_part_is_not_azures(tmp_path):
    found = judged(tmp_path, strict=True, **{"x-goldsmith": {"generation": "V2"}})
    assert found == [("Extension", AT)]


def test_everything_at_once_is_fine(tmp_path):
    wishes = {
        "osVariant": "rhel8.4",
        "packages": [
            "vim-enhanced",
            "@development",
            "@^minimal-environment",
            "-tuned",
            "glibc.i686",
            "perl-*",
        ],
        "repositories": ["https://mirror.example.com/8/os/", "http://mirror.example.com/extras"],
        "subscription": {"organization": {"file": "org"}, "activationKey": {"command": ["pass", "key"]}},
        "generation": "V2",
        "diskSizeGB": 32,
        "memoryMiB": 4096,
        "timeout": "1h30m",
    }
    assert judged(tmp_path, **{"x-goldsmith": wishes}) == []


@pytest.mark.parametrize("wishes", [{"kickstart": "my.ks"}, {"kickstartInline": ["cdrom", "poweroff"]}])
def test_an_own_kickstart(tmp_path, wishes):
    assert judged(tmp_path, **{"x-goldsmith": wishes}) == []


ORG, KEY = {"env": "ORG"}, {"env": "KEY"}


@pytest.mark.parametrize(
    ("wishes", "code", "place"),
    [
        ({"osVariant": "windows10"}, "BadValue", "osVariant"),
        ({"packages": ["vim", "rm -rf /"]}, "BadValue", "packages/1"),
        ({"packages": ["%post"]}, "BadValue", "packages/0"),
        ({"packages": ["a\n%end"]}, "BadValue", "packages/0"),
        ({"repositories": ["mirror.example.com"]}, "BadValue", "repositories/0"),
        ({"repositories": ["https://a.example.com/ --install"]}, "BadValue", "repositories/0"),
        ({"repositories": ["https://user:pw@example.com/"]}, "BadValue", "repositories/0"),
        ({"kickstart": ""}, "BadValue", "kickstart"),
        ({"kickstart": "cdrom\npoweroff"}, "BadValue", "kickstart"),
        ({"kickstartInline": []}, "BadValue", "kickstartInline"),
        ({"kickstart": "a.ks", "kickstartInline": ["x"]}, "ExclusiveFields", "kickstartInline"),
        ({"kickstart": "a.ks", "packages": ["vim"]}, "ExclusiveFields", "packages"),
        ({"kickstart": "a.ks", "repositories": ["https://a.example.com"]}, "ExclusiveFields", "repositories"),
        ({"timeout": "soon"}, "BadDuration", "timeout"),
        ({"generation": "V3"}, "BadValue", "generation"),
        ({"diskSizeGB": 2}, "BadValue", "diskSizeGB"),
        ({"subscription": {"organization": ORG}}, "MissingField", "subscription"),
        (
            {"subscription": {"organization": {}, "activationKey": KEY}},
            "BadSecret",
            "subscription/organization",
        ),
        (
            {"subscription": {"organization": ORG, "activationKey": {**KEY, "file": "f"}}},
            "BadSecret",
            "subscription/activationKey",
        ),
        (
            {"subscription": {"organization": ORG, "activationKey": "key"}},
            "WrongType",
            "subscription/activationKey",
        ),
        ({"osVarient": "rhel8"}, "UnknownField", "osVarient"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(tmp_path, wishes, code, place):
    assert judged(tmp_path, **{"x-goldsmith": wishes}) == [(code, f"{AT}/{place}")]


def test_an_empty_address(tmp_path):
    assert judged(tmp_path, sourceUri=" ") == [("BadValue", "/properties/source/sourceUri")]
