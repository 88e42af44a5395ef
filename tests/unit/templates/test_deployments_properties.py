"""Whatever is wrong in a deployment, nothing but our own errors comes out of reading it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from deployed import Reader, deployment, nested, template
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from templates.errors import GoldsmithError

INNER = deployment(
    template("[parameters('p')]", "[string(copyIndex())]", copy={"name": "t", "count": 2}),
    parameters={"p": {"type": "string"}, "q": {"$ref": "#/definitions/d", "nullable": True}},
    definitions={"d": {"type": "object", "properties": {"a": {"$ref": "#/definitions/d"}}}},
    outputs={"o": {"type": "string", "value": "[parameters('p')]"}},
)
WHOLE = deployment(
    languageVersion="2.0",
    parameters={"s": {"type": "secureObject", "defaultValue": {"a": "b"}}},
    variables={"copy": [{"name": "v", "count": 2, "input": "[copyIndex('v')]"}]},
    functions=[
        {"namespace": "n", "members": {"f": {"parameters": [], "output": {"value": "x", "type": "string"}}}}
    ],
    resources={
        "module": nested("m", INNER, {"p": "x"}, copy={"name": "c", "count": 2}, dependsOn=["identity"]),
        "user": template("u", "[reference('identity').principalId]", "[n.f()]", dependsOn=["module", "c"]),
        "gallery": {"type": "Microsoft.Compute/galleries", "name": "g", "resources": [{"type": "images"}]},
        "identity": {"type": "Microsoft.ManagedIdentity/userAssignedIdentities", "name": "i", "scope": "a/b"},
    },
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        801,
        1.5,
        10**30,
        "",
        "/",
        "a/b/c",
        "[",
        "outer",
        "<x>",
        "{{ x }}",
        [],
        {},
        [[]],
        {"a": 1},
    ),
    *("[parameters('s')]", "[variables('v')]", "[reference('module[0]').outputs]", "[copyIndex()]"),
    *(
        "[reference('user', 'x', 'full')]",
        "[references('module')]",
        "[deployment()]",
        "[null()]",
        "[range(0, 900)]",
    ),
    *("Microsoft.VirtualMachineImages", "images", "#/definitions/d", ["module"], {"name": "c", "count": 2}),
    *(
        {"value": 1},
        {"$ref": "#/definitions/d"},
        {"copy": [{"name": "q", "count": 2, "input": "[copyIndex()]"}]},
    ),
)
FIELDS = ("copy", "COPY", "condition", "dependsOn", "existing", "resources", "scope", "Type", "$ref", "items")


def places(value, found):
    """Every object and array below `value`."""
    if isinstance(value, dict | list):
        found.append(value)
        for item in value.values() if isinstance(value, dict) else value:
            places(item, found)
    return found


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("deployments"))


changes = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from((*VALUES, "delete", "add")))


@given(st.lists(changes, min_size=1, max_size=4), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_any_change_of_a_deployment_is_read_or_refused(read, changed, strict):
    content = copy.deepcopy(WHOLE)
    for place, number, value in changed:
        there = places(content, [])
        holder = there[place % len(there)]
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if value == "add" and isinstance(holder, dict):
            holder[FIELDS[number % len(FIELDS)]] = copy.deepcopy(VALUES[number % len(VALUES)])
        elif keys and value == "delete":
            del holder[keys[number % len(keys)]]
        elif keys:
            holder[keys[number % len(keys)]] = copy.deepcopy(value)
    try:
        document = read(content, strict=strict)
    except GoldsmithError as error:
        assert error.message
    else:
        assert all(document.locate(document.pointer_of(t)).line for t in document.templates)
