"""Galleries and image definitions that stand beside a template."""

from __future__ import annotations

from typing import Any

import pytest
from deployed import Reader, deployment, template

from templates.diagnostics import TemplateError

TYPE = "Microsoft.Compute/galleries/images"


def definition(version: str = "2024-03-03", **properties: Any) -> dict[str, Any]:
    whole = {
        "osType": "Linux",
        "osState": "Generalized",
        "identifier": {"publisher": "p", "offer": "o", "sku": "s"},
        **properties,
    }
    return {"type": TYPE, "apiVersion": version, "name": "gal/web", "location": "west", "properties": whole}


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path)


def test_every_property_is_read(read):
    found = read(
        deployment(
            template(),
            definition(
                "2025-12-03",
                hyperVGeneration="V2",
                architecture="x64",
                features=[{"name": "DiskControllerType", "value": "SCSI,NVMe", "startsAtVersion": "1.0.0"}],
                allowUpdateImage=True,
                description="d",
                endOfLifeDate="2030-01-01T00:00:00Z",
                eula="e",
                privacyStatementUri="https://a.test/p",
                releaseNoteUri="https://a.test/r",
                recommended={"vCPUs": {"min": 1, "max": 4}, "memory": {"min": 2}},
                disallowed={"diskTypes": ["UltraSSD_LRS"]},
                purchasePlan={"name": "n", "publisher": "p", "product": "o"},
            ),
        )
    )
    (made,) = found.definitions
    assert not found.diagnostics
    assert made.api_version == "2025-12-03"
    properties = made.properties
    assert properties.recommended is not None
    assert properties.recommended.v_cpus is not None
    assert properties.recommended.v_cpus.max == 4
    assert properties.features[0].starts_at_version == "1.0.0"
    assert properties.model_extra == {}


@pytest.mark.parametrize(
    ("properties", "at", "message"),
    [
        ({"features": [{"name": "SecurityType", "value": "Best"}]}, "/features/0/value", "is no value of"),
        ({"features": [{"name": "SecurityType", "value": True}]}, "/features/0/value", "expected a string"),
        ({"features": [{"nam": "SecurityType", "value": "x"}]}, "/features/0/nam", "is not known"),
        ({"endOfLifeDate": "soon"}, "/endOfLifeDate", "'soon' is no date"),
        ({"recommended": {"vCPUs": {"min": 4, "max": 2}}}, "/recommended/vCPUs", "the least, 4, is more"),
        ({"recommended": {"memory": {"min": 0}}}, "/recommended/memory/min", "at least 1"),
        ({"disallowed": {"diskTypes": ["Premium"]}}, "/disallowed/diskTypes/0", "is not allowed here"),
        ({"purchasePlan": {"name": "n"}}, "/purchasePlan", "'publisher' is missing"),
        ({"hyperVGeneration": "V1", "features": [{"name": "SecurityType", "value": "TrustedLaunch"}]},
         "/features/0/value", "needs hyperVGeneration V2"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_place(read, properties, at, message):
    with pytest.raises(TemplateError) as caught:
        read(deployment(template(), definition(**properties)))
    found = [(d.location.pointer, d.message) for d in caught.value.diagnostics if d.severity == "error"]
    assert any(pointer.endswith(f"/properties{at}") and message in text for pointer, text in found), found


def test_a_version_is_not_made_of_a_declaration(read):
    version = {"type": f"{TYPE}/versions", "apiVersion": "2024-03-03", "name": "gal/web/1.0.0"}
    found = read(deployment(template(), definition(), version))
    assert [d.code for d in found.diagnostics] == ["Noted"]
    assert "a SharedImage target makes versions" in found.diagnostics[0].message
