"""Microsoft's own client takes what we make of a template, and gives the same back.

Differences are argued in docs/template-differences.md: types of `x-`, `x-goldsmith`, and apiVersion, which
is part of the address.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from azure.core.serialization import attribute_list
from azure_client import misfits, models, rebuilt, received, sent, told
from deployed import Reader
from published import require_shared_data
from real import SCOPE, examined
from test_strict_and_schemas import GROUP, IMAGE, NETWORK, good

import templates
from templates.effective import effective
from templates.versions import NEWEST

# The client has no model of an ISO, which was gone before its oldest version.
EXAMPLES = sorted(
    path
    for path in (Path(__file__).parents[3] / "examples").glob("*/*.json")
    if path.parent.name != "rhel-iso"
)
# What only Azure says: it is in answers, and never sent.
ANSWERED = {"id", "name", "type", "provisioningState", "exactVersion", "principalId", "clientId"}
ANSWERED_ATTRIBUTES = {
    *("id", "system_data", "provisioning_state", "provisioning_error", "last_run_status"),
    *("exact_version", "exact_staging_resource_group"),
}


@pytest.fixture(autouse=True, scope="module")
def _data() -> None:
    require_shared_data()


@functools.cache
def collection() -> dict[str, templates.Document]:
    """The real templates and the examples."""
    found = {str(path): document for path, document in examined(filled=True, strict=False).items()}
    return found | {str(path): templates.read(path, defaults=SCOPE) for path in EXAMPLES}


def forms(document, template) -> dict[str, dict[str, Any]]:
    """The ways in which a template leaves us."""
    return {
        "computed": document.data_of(template),
        "model": template.model_dump(by_alias=True, exclude_unset=True),
        "defaults": effective(document, template, defaults=True),
    }


def for_azure(value):
    """Our JSON without what is ours alone."""
    if isinstance(value, list):
        return [for_azure(item) for item in value if not _is_ours(item)]
    if isinstance(value, dict):
        return {k: for_azure(v) for k, v in value.items() if k not in ("x-goldsmith", "apiVersion")}
    return value


def _is_ours(item) -> bool:
    return isinstance(item, dict) and str(item.get("type")).startswith("x-")


def without_answers(data):
    """What of a template is sent: the fields that Azure sets stay behind, at the places where it does."""
    if isinstance(data, list):
        return [without_answers(item) for item in data]
    if not isinstance(data, dict):
        return data
    # A step or a target has a name and a type of its own.
    answered = ANSWERED if "properties" in data else ANSWERED - {"name", "type"}
    return {key: without_answers(value) for key, value in data.items() if key not in answered}


def test_the_collection_is_there():
    assert sum(len(document.templates) for document in collection().values()) == 49 + len(EXAMPLES)
    assert EXAMPLES


@pytest.mark.parametrize("form", ["computed", "model", "defaults"])
def test_every_effective_template_comes_back_as_it_was(form):
    for name, document in collection().items():
        for template in document.templates:
            wanted = for_azure(forms(document, template)[form])
            theirs = received(wanted)
            assert rebuilt(theirs).as_dict() == wanted, name
            assert sent(rebuilt(theirs)) == without_answers(wanted), name
            assert misfits(theirs, models.ImageTemplate) == [], name


def test_the_model_says_what_was_computed():
    for name, document in collection().items():
        for template in document.templates:
            ways = forms(document, template)
            assert ways["model"] == ways["computed"], name


def full_templates(tmp_path):
    """Templates that say together all that the newest API version knows, read strictly."""
    image = {"type": "ManagedImage", "imageId": f"{GROUP}/Microsoft.Compute/images/i"}
    version = {"type": "SharedImageVersion", "imageVersionId": f"{IMAGE}/d/versions/1.0.0"}
    network = {"subnetId": f"{NETWORK}/a", "proxyVmSize": "Standard_A1_v2"}
    # What the first one leaves out: names of two steps, the script of a Shell validation, PowerShell's lines.
    steps = [{"type": "WindowsRestart", "name": "a"}, {"type": "WindowsUpdate", "name": "b"}]
    script = {"type": "Shell", "scriptUri": "https://x/s", "sha256Checksum": "0" * 64}
    validations = [script, {"type": "PowerShell", "inline": ["dir"]}]
    changes = [
        {},
        {"source": image, "customize": steps, "validate": {"inVMValidations": validations}},
        {"source": version, "vmProfile": {"vnetConfig": network}},
    ]
    for change in changes:
        data = good(NEWEST)
        document = Reader(tmp_path)({**data, "properties": {**data["properties"], **change}}, strict=True)
        yield document, document.templates[0]


def test_what_the_client_knows_we_know(tmp_path):
    """Each attribute of its models has a field of ours: read by us, it arrives there."""
    seen = set()
    for document, template in full_templates(tmp_path):
        wanted = for_azure(document.data_of(template))
        theirs = received(wanted)
        assert rebuilt(theirs).as_dict() == wanted
        assert misfits(theirs, models.ImageTemplate) == []
        told(theirs, seen)
    kinds = {kind for kind, _ in seen}
    kinds |= {derived for kind in kinds for base in kind.__mro__ for derived in _derived(base)}
    known = {(kind, name) for kind in kinds for name in attribute_list(kind({}))}
    assert {name for _, name in known - seen} == ANSWERED_ATTRIBUTES
    assert len(kinds) >= 29


def _derived(base):
    """The models of a tag, such as the customizers; those of Azure's resources are none."""
    return base.__subclasses__() if "__mapping__" in vars(base) else []


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("vmProfile", {"vmsize": "x"}),
        ("vmProfile", {"vmSize": 1}),
        ("vmProfile", {"osDiskSizeGB": "40"}),
        ("vmProfile", {"userAssignedIdentities": [1]}),
        ("errorHandling", {"onCustomizerError": "Abort"}),
        ("errorHandling", {"onCustomizerError": "stop"}),
        ("source", {"type": "ISO", "sourceUri": "https://x/y.iso"}),
    ],
)
def test_what_the_client_does_not_take_is_found_out(section, value, tmp_path):
    """The proof of the proof: an unknown field, a wrong type, a wrong word do not come through."""
    document, template = next(full_templates(tmp_path))
    data = for_azure(document.data_of(template))
    wanted = {**data, "properties": {**data["properties"], section: value}}
    theirs = received(wanted)
    assert rebuilt(theirs).as_dict() != wanted or misfits(theirs, models.ImageTemplate)
