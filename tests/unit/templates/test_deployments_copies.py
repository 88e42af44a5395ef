"""Copy loops: of resources, properties, variables and outputs."""

from __future__ import annotations

import pytest
from deployed import Reader, deployment, lines_of, nested, template


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path)


COPY = {"name": "images", "count": 3}


def test_a_resource_is_made_as_often_as_its_loop_says(read):
    looped = template("[format('t{0}', copyIndex(1))]", "[copyIndex('IMAGES')]", copy=COPY)
    looped["properties"]["customize"][0]["inline"] = ["[string(copyIndex('IMAGES'))]"]
    assert lines_of(read(deployment(looped))) == {"t1": ["0"], "t2": ["1"], "t3": ["2"]}


@pytest.mark.parametrize("mode", [{"mode": "serial", "batchSize": 1}, {"mode": "parallel"}])
def test_serial_and_parallel_loops_give_the_same(read, mode):
    looped = template("[concat('t', copyIndex())]", copy={**COPY, **mode})
    assert len(read(deployment(looped)).templates) == 3


def test_a_condition_is_asked_for_each_copy(read):
    looped = template("[concat('t', copyIndex())]", copy=COPY, condition="[equals(copyIndex(), 2)]")
    document = read(deployment(looped))
    assert [t.name for t in document.templates] == ["t2"]
    assert [d.code for d in document.diagnostics] == ["ConditionFalse"]


def test_a_loop_of_none_makes_nothing(read):
    looped = template("[concat('t', copyIndex())]", "[nope()]", copy={"name": "x", "count": 0})
    assert [t.name for t in read(deployment(looped, template())).templates] == ["golden"]


def test_loops_in_properties_at_any_depth(read):
    looped = template("golden", copy={"name": "r", "count": 1})
    del looped["properties"]["distribute"]
    region = {"name": "[concat('region', copyIndex('regions'), copyIndex('distribute'), copyIndex())]"}
    target = {
        "type": "SharedImage",
        "runOutputName": "[concat('out', copyIndex('distribute', 1))]",
        "galleryImageId": "[resourceId('Microsoft.Compute/galleries/images', 'g', 'd')]",
        "copy": [{"name": "targetRegions", "count": 2, "input": region}],
    }
    target["copy"][0]["input"] = {
        "name": "[concat('r', copyIndex('targetRegions'), copyIndex('distribute'))]"
    }
    looped["properties"]["copy"] = [
        {"name": "distribute", "count": "[length(createArray(1, 2))]", "input": target}
    ]
    first, second = read(deployment(looped)).templates[0].properties.distribute
    assert (first.run_output_name, second.run_output_name) == ("out1", "out2")
    assert [r.name for r in first.target_regions] == ["r00", "r10"]
    assert [r.name for r in second.target_regions] == ["r01", "r11"]


@pytest.mark.parametrize(
    "loops",
    [
        [{"name": "customize", "input": {"type": "Shell", "inline": ["x"]}}],
        {"name": "customize", "count": 2, "input": {"type": "Shell", "inline": ["x"]}},
        [{"count": 2, "input": {}}],
        [],
    ],
)
def test_a_loop_that_makes_nothing_is_an_error(read, loops):
    # Without it the image would be built without its steps.
    looped = template("t")
    del looped["properties"]["customize"]
    looped["properties"]["copy"] = loops
    at = "/resources/0/properties/copy"
    assert read.errors(deployment(looped)) == [("BadCopy", at)]


def test_loops_in_variables_also_below_the_top(read):
    variables = {
        "copy": [{"name": "all", "count": 2, "input": "[concat('v', copyIndex('all'))]"}],
        "deep": {"x": 1, "copy": [{"name": "list", "count": 2, "input": {"n": "[copyIndex('list', 5)]"}}]},
    }
    lines = ["[join(variables('all'), ',')]", "[string(variables('deep'))]"]
    document = read(deployment(template("golden", *lines), variables=variables))
    assert lines_of(document)["golden"] == ["v0,v1", '{"x":1,"list":[{"n":5},{"n":6}]}']


def test_a_loop_in_an_output(read):
    inner = deployment(
        outputs={"o": {"type": "array", "copy": {"count": 2, "input": "[concat('x', copyIndex())]"}}}
    )
    user = template("golden", "[join(reference('m').outputs.o.value, '+')]")
    assert lines_of(read(deployment(nested("m", inner), user)))["golden"] == ["x0+x1"]


def test_a_mistake_in_a_loop_is_told_once_at_what_is_written(read):
    looped = template("[concat('t', copyIndex())]", "[oops(copyIndex())]", copy=COPY)
    del looped["properties"]["distribute"]
    looped["properties"]["copy"] = [{"name": "distribute", "count": 3, "input": {"type": "VHS"}}]
    assert read.errors(deployment(looped)) == [
        ("UnknownFunction", "/resources/0/properties/customize/0/inline/0"),
        ("UnknownType", "/resources/0/properties/copy/0/input/type"),
    ]


@pytest.mark.parametrize(
    ("copy", "code", "place"),
    [
        ({"name": "x", "count": 801}, "BadCopy", "/count"),
        ({"name": "x", "count": -1}, "BadCopy", "/count"),
        ({"name": "x", "count": "three"}, "BadCopy", "/count"),
        ({"name": "x", "count": True}, "BadCopy", "/count"),
        ({"name": "x"}, "BadCopy", "/count"),
        ({"name": "x", "count": "[length(variables('none'))]"}, "UnknownVariable", "/count"),
        ({"count": 2}, "BadCopy", ""),
        ([{"name": "x", "count": 2}], "BadCopy", ""),
    ],
)
def test_loops_that_cannot_be_counted(read, copy, code, place):
    assert (code, f"/resources/0/copy{place}") in read.errors(deployment(template(copy=copy)))


def test_copies_need_names_of_their_own(read):
    (found,) = [d for d in read.problems(deployment(template(copy=COPY))) if d.severity == "error"]
    assert found.code == "DuplicateResource"
    assert "copyIndex()" in found.hint


def test_copy_index_outside_of_a_loop_names_the_loops_there_are(read):
    looped = template("[concat('t', copyIndex())]", "[string(copyIndex('image'))]", copy=COPY)
    (found,) = read.problems(deployment(looped))
    assert (found.code, found.hint) == ("UnknownLoop", "the loops around it: images")


def test_a_property_called_copy_that_is_no_loop_stays(read):
    tagged = template()
    tagged["properties"]["distribute"][0]["artifactTags"] = {"copy": "yes"}
    (found,) = read(deployment(tagged)).templates[0].properties.distribute
    assert found.artifact_tags == {"copy": "yes"}
