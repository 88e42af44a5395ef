"""dependsOn: what it may name, what it warns of, and the order it makes."""

from __future__ import annotations

import pytest
from deployed import TEMPLATE, Reader, deployment, nested, template


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path)


def order(document):
    return [t.name for t in document.templates]


def needs(name, *others, **fields):
    return template(name, dependsOn=list(others), **fields)


@pytest.mark.parametrize(
    "written",
    [
        "b",
        "B",
        f"{TEMPLATE}/b",
        f"[resourceId('{TEMPLATE}', 'b')]",
        f"[concat('{TEMPLATE}/', parameters('n'))]",
        f"[resourceId('OTHER', '{TEMPLATE}', 'b')]",
    ],
)
def test_the_ways_to_name_a_resource(read, written):
    parameters = {"n": {"type": "string", "defaultValue": "b"}}
    assert order(read(deployment(needs("a", written), template("b"), parameters=parameters))) == ["b", "a"]


def test_the_order_is_the_written_one_but_for_what_is_needed(read):
    found = read(deployment(template("z"), needs("a", "c"), template("b"), needs("c", "b"), template("y")))
    assert order(found) == ["z", "b", "c", "a", "y"]
    assert found.diagnostics == ()


def test_symbols_loops_and_modules(read):
    resources = {
        "last": needs("last", "many", "module", "many[0]"),
        "many": needs("[concat('m', copyIndex())]", "first", copy={"name": "loop", "count": 2}),
        "module": nested("inner", deployment(template("within")), dependsOn=["loop", "there"]),
        "there": {
            "type": "Microsoft.Storage/storageAccounts",
            "name": "x",
            "apiVersion": "x",
            "existing": True,
        },
        "first": template("first"),
    }
    found = read(deployment(languageVersion="2.0", resources=resources))
    assert order(found) == ["first", "m0", "m1", "within", "last"]
    assert found.diagnostics == ()


def test_children_come_after_their_parents(read):
    definition = {"osType": "Linux", "identifier": {"publisher": "p", "offer": "o", "sku": "s"}}
    image = {"type": "images", "name": "i", "location": "x", "properties": definition, "dependsOn": ["gal"]}
    gallery = {"type": "Microsoft.Compute/galleries", "name": "gal", "resources": [image], "dependsOn": ["t"]}
    found = read(deployment(gallery, template("t"), needs("u", "gal/i", "i")))
    assert found.diagnostics == ()
    assert [d.name for d in found.definitions] == ["i"]


def test_unknown_names_are_a_warning_with_the_one_meant(read):
    found = read(deployment(needs("golden", "silber", "something else"), template("silver"))).diagnostics
    assert [(d.code, d.location.pointer) for d in found] == [
        ("UnknownDependency", "/resources/0/dependsOn/0"),
        ("UnknownDependency", "/resources/0/dependsOn/1"),
    ]
    assert found[0].hint == "did you mean 'silver'?"


def test_nothing_is_unknown_where_a_name_cannot_be_computed(read):
    other = {"type": "Microsoft.Storage/storageAccounts", "name": "[reference('x').name]"}
    assert [c for c, _ in read.warnings(deployment(other, needs("golden", "st")))] == ["OtherResource"]


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ([needs("a", "a")], "a -> a"),
        ([needs("a", "b"), needs("b", "c"), needs("c", "a")], "a -> b -> c -> a"),
        ([needs("x", "a"), needs("a", "b"), needs("b", "a")], "a -> b -> a"),
    ],
)
def test_circles_are_an_error(read, resources, message):
    (found,) = [d for d in read.problems(deployment(*resources)) if d.severity == "error"]
    assert found.code == "Cycle"
    assert found.message.endswith(f": {message}")
    assert found.location.pointer.endswith("/dependsOn")


def test_copies_that_wait_for_the_copy_before_are_no_circle(read):
    name = "[concat('t', copyIndex())]"
    before = f"[resourceId('{TEMPLATE}', concat('t', if(equals(copyIndex(), 0), 'first', copyIndex(-1))))]"
    chained = template(name, dependsOn=[before], copy={"name": "all", "count": 3})
    assert order(read(deployment(chained, template("tfirst")))) == ["tfirst", "t0", "t1", "t2"]


def test_long_chains_and_wide_ones(read):
    chain = [needs(f"t{n}", f"t{n + 1}") for n in range(150)]
    assert order(read(deployment(*chain, template("t150"))))[:2] == ["t150", "t149"]
    wide = template("[concat('w', copyIndex())]", copy={"name": "wide", "count": 60})
    after = template("[concat('v', copyIndex())]", copy={"name": "after", "count": 60}, dependsOn=["wide"])
    assert order(read(deployment(after, wide)))[60:61] == ["v0"]


@pytest.mark.parametrize(("value", "code"), [(5, "WrongType"), ("[nope()]", "UnknownFunction")])
def test_what_is_no_list_of_names(read, value, code):
    assert [c for c, _ in read.errors(deployment(template(dependsOn=value)))] == [code]
