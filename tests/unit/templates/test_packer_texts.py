"""Go templates become Jinja2 that comes to the same text."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packer_import import azure, convert, notes, read, steps, to_give

from templates.arm.interpolation import has_jinja, render
from templates.packer.document import Variable
from templates.packer.go_template import Action, parse_go_template
from templates.packer.notes import Notes
from templates.packer.texts import Texts


def texts(**variables):
    made = {
        name: value if isinstance(value, Variable) else Variable(name, value, f"/variables/{name}")
        for name, value in variables.items()
    }
    return Texts(made, Notes(lambda pointer: None), "base", "qemu")


def rendered(text, given=None, **variables):
    found = texts(**variables).jinja(text, "/x")
    return render(found, given or {}) if has_jinja(found) else found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{user `a`}}", "A"),
        ('{{ user "a" }}-{{user `b`}}', "A-B"),
        ("{{user `a` | lower}}{{ user `a` | upper | lower }}", "aa"),
        ("x {{- user `a` -}} y", "xAy"),
        ("{{build_name}} {{build_type}}", "base qemu"),
        ("{{template_dir}}/x.sh", "./x.sh"),
        ("{{`{{`}}.Names{{`}}`}}", "{{.Names}}"),
        ("${{`{`}}{{user `a`}}}", "${A}"),
        ("{%", "{%"),
        ("{{{`", "{{{`"),
        ("${#array[@]} {{user `a`}}", "${#array[@]} A"),
        ("{{user `quote`}}", "it's \\ a\n{{ b }}"),
        ("{{user `nested`}}", "v-A"),
    ],
)
def test_texts(text, wanted):
    assert rendered(text, a="A", b="B", quote="it's \\ a\n{{`{{ b }}`}}", nested="v-{{user `a`}}") == wanted


@given(st.text(alphabet="{}%#`'\"\\ a-\n|.", max_size=20), st.text(alphabet="{}%#'\\ a", max_size=10))
@settings(max_examples=100, deadline=None)
def test_a_literal_comes_out_as_it_went_in(before, after):
    """Braces and quotes of the text around a variable are text, for Packer and for us."""
    pieces = [piece for piece in parse_go_template(before) if isinstance(piece, Action)]
    if pieces or "{{" in before + "{" or before.endswith("{") or "{{" in after:  # these are no text
        return
    assert rendered(before + "{{user `v`}}" + after, v="V") == before + "V" + after


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_default_comes_out_as_it_went_in(value):
    default = value.replace("{{", "{ {")
    assert rendered("{{user `v`}}", v=default) == default


def test_a_given_value_wins_over_the_default():
    assert rendered("{{user `nested`}}", {"nested": "own"}, nested="{{user `b`}}", b="B") == "own"
    # The default's own variable need not be there when it is not needed.
    assert rendered("{{user `nested`}}", {"nested": "own"}, nested="{{user `b`}}", b=None) == "own"
    assert rendered("{{user `nested`}}", {"b": "given"}, nested="{{user `b`}}!", b=None) == "given!"


@pytest.mark.parametrize(
    ("name", "ours"),
    [("vm-name", "vm_name"), ("2nd", "_2nd"), ("not", "not_2"), ("none", "none_2"), ("größe", "gr__e")],
)
def test_names_that_jinja_does_not_take(name, ours, tmp_path):
    data = {**azure({"type": "shell", "inline": [f"echo {{{{user `{name}`}}}}"]}), "variables": {name: "x"}}
    found = convert(data, tmp_path)
    assert steps(found)[0]["inline"] == [f"echo {{{{ {ours} | default('x') }}}}"]
    assert ours in notes(found, "changed")[f"variables.{name}"]


def test_two_names_that_would_become_one(tmp_path):
    inline = ["{{user `a-b`}}", "{{user `a.b`}}"]
    data = {**azure({"type": "shell", "inline": inline}), "variables": {"a-b": "1", "a.b": "2"}}
    template = read(convert(data, tmp_path), tmp_path).templates[0]
    assert template.properties.customize[0].inline == ["1", "2"]


@pytest.mark.parametrize(
    ("default", "why"),
    [
        (None, "no default"),
        ("", "is empty"),
        ("{{env `LOCATION`}}", "environment"),
        ("{{user `v`}}", "itself"),
    ],
)
def test_a_variable_that_has_to_be_given(default, why, tmp_path):
    data = {**azure(location="{{user `v`}}"), "variables": {"v": default}}
    found = convert(data, tmp_path)
    assert "v" in to_give(found)
    assert why in notes(found, "fill")["variables.v"]
    assert read(found, tmp_path).templates[0].location == "2.0.0"


def test_an_empty_default_is_fine_in_a_script(tmp_path):
    data = {**azure({"type": "shell", "inline": ["echo {{user `v`}}"]}), "variables": {"v": ""}}
    found = convert(data, tmp_path)
    assert "v" not in to_give(found)
    assert read(found, tmp_path).templates[0].properties.customize[0].inline == ["echo "]


def test_what_only_packer_computes_has_to_be_given(tmp_path):
    line = "{{timestamp}} {{isotime `2006`}} {{uuid}} {{build `ID`}} " + (
        "{{replace `a` `b` 1 (user `v`)}} {{user `no`}}"
    )
    data = {**azure({"type": "shell", "inline": [line]}), "variables": {"v": "x"}}
    found = convert(data, tmp_path)
    assert {"timestamp", "isotime", "uuid", "build_ID", "packer_value", "no"} <= set(to_give(found))
    assert read(found, tmp_path).templates[0].properties.customize[0].inline == ["2.0.0 " * 5 + "2.0.0"]


def test_a_variable_nobody_uses_is_listed(tmp_path):
    found = convert({**azure(), "variables": {"unused": "x"}}, tmp_path)
    assert "variables.unused" in notes(found, "implied")


@pytest.mark.parametrize("value", ["{{user `n`}}", "6{{user `n`}}"])
def test_a_number_from_a_variable_is_written_in(value, tmp_path):
    found = convert({**azure(os_disk_size_gb=value), "variables": {"n": "4"}}, tmp_path)
    size = found.template["properties"]["vmProfile"]["osDiskSizeGB"]
    assert size == int(value.replace("{{user `n`}}", "4"))
    assert "variables.n" in notes(found, "changed")


def test_a_number_that_is_not_known_is_left_out(tmp_path):
    found = convert({**azure(os_disk_size_gb="{{user `n`}}"), "variables": {"n": None}}, tmp_path)
    assert "vmProfile" not in found.template["properties"]
    assert "builders[0].os_disk_size_gb" in notes(found, "lost")


def test_quotes_may_hold_the_end_of_an_action():
    (action,) = parse_go_template('{{replace "}}" `"` 1}}')
    assert isinstance(action, Action)
    assert action.texts() == ("}}", '"')


@given(st.text(alphabet='{}`"\\ -|()user.\n', max_size=60))
@settings(max_examples=100, deadline=None)
def test_parsing_loses_nothing_but_trimmed_space(text):
    pieces = parse_go_template(text)
    joined = "".join(piece if isinstance(piece, str) else piece.source for piece in pieces)
    assert "".join(joined.split()) == "".join(text.split())


def test_many_braces_take_no_time():
    assert parse_go_template("{{" * 100_000) == ["{{" * 100_000]
    assert len(parse_go_template("{{a}}" * 10_000)) == 10_000


def test_no_default_is_a_program(tmp_path):
    """A default can say nothing to Jinja2: it is data in quotes."""
    data = {**azure({"type": "shell", "inline": ["{{user `v`}}"]}), "variables": {"v": "' + 7 * '7 }} {% if"}}
    found = convert(data, tmp_path)
    assert read(found, tmp_path).templates[0].properties.customize[0].inline == ["' + 7 * '7 }} {% if"]
    assert json.dumps(found.template)
