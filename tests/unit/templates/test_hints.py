"""What a message says to do: a mistake is told together with what was expected in its place."""

from __future__ import annotations

import pytest
from deployed import SOURCE, Reader, deployment, template


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path)


def hints(read, content, **options):
    """Pointer -> hint of every problem that has one."""
    return {d.location.pointer: d.hint for d in read.problems(content, **options) if d.hint}


def with_properties(**properties):
    content = template("t")
    content["properties"].update(properties)
    return content


GALLERY_IMAGE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/x/images/y"
SHARED = {"type": "SharedImage", "runOutputName": "o", "galleryImageId": GALLERY_IMAGE}
SOURCES = "PlatformImage, ManagedImage, SharedImageVersion, ISO"
STEPS = "Shell, PowerShell, File, WindowsRestart, WindowsUpdate, x-LinuxRestart"


@pytest.mark.parametrize(
    ("properties", "pointer", "names"),
    [
        ({"source": {**SOURCE, "type": None}}, "source", SOURCES),
        ({"customize": [{"inline": ["x"]}]}, "customize/0", STEPS),
        (
            {"validate": {"inVMValidations": [{"inline": ["x"]}]}},
            "validate/inVMValidations/0",
            "Shell, PowerShell, File",
        ),
        ({"distribute": [{"runOutputName": "o"}]}, "distribute/0", "VHD, ManagedImage, SharedImage"),
        ({"distribute": [{**SHARED, "versioning": {}}]}, "distribute/0/versioning", "Latest, Source"),
    ],
)
def test_a_missing_type_is_one_of_those_that_can_stand_there(read, properties, pointer, names):
    found = hints(read, with_properties(**properties))
    assert found == {f"/properties/{pointer}": f"it is one of: {names}"}


def test_a_missing_field_is_explained(read):
    content = with_properties(distribute=[{"type": "ManagedImage", "runOutputName": "o", "location": "w"}])
    assert hints(read, content) == {"/properties/distribute/0": "imageId: ARM id of the managed image"}
    del content["properties"]["source"]
    assert hints(read, content)["/properties"] == "source: The image to start from"


def test_a_missing_location_says_what_to_add(read):
    content = template("t")
    del content["location"]
    assert hints(read, content, strict=True) == {"": 'add "location": "westeurope", or another region'}


def test_a_value_for_no_parameter_names_the_parameters(read):
    content = deployment(template("t"), parameters={"imageName": {"type": "string", "defaultValue": "x"}})
    assert hints(read, content, parameters={"zzz": 1})["/parameters"] == "the template declares: imageName"
    assert hints(read, content, parameters={"imagName": 1})["/parameters"] == "did you mean 'imageName'?"


def test_true_and_false_are_functions_in_expressions(read):
    content = deployment(template("t", "[if(true, 'a', 'b')]"))
    assert list(hints(read, content).values()) == ["write true(), or 'true' for the text"]


def test_one_mistake_hides_no_other_of_its_step(read):
    own = {
        "retry": 99,
        "timeout": "soon",
        "env": {"A B": "x", "C": []},
        "secrets": {"both": {"env": "A", "file": "b"}, "none": 5},
    }
    step = {"type": "Shell", "inline": ["x"], "scriptUri": "x.sh", "x-goldsmith": own}
    found = read.errors(with_properties(customize=[step]))
    at = "/properties/customize/0"
    assert {(code, pointer.removeprefix(at)) for code, pointer in found} == {
        ("ExclusiveFields", "/scriptUri"),
        ("BadValue", "/x-goldsmith/retry"),
        ("BadDuration", "/x-goldsmith/timeout"),
        ("BadEnvName", "/x-goldsmith/env/A B"),
        ("WrongType", "/x-goldsmith/env/C"),
        ("BadSecret", "/x-goldsmith/secrets/both"),
        ("WrongType", "/x-goldsmith/secrets/none"),
    }
