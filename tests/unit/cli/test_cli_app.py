"""The command: verbs, help, errors and exit codes."""

import errno
import importlib
import json
import shlex
import sys
import types

import pytest
import typer
from typer.testing import CliRunner

from builder import cli
from builder.cli import errors, lazy
from builder.cli.app import app
from builder.cli.verbs import VERBS
from builder.errors import BuildTimeoutError, EnvironmentProblem, GoldsmithError, UsageError
from templates.diagnostics import Diagnostic, Location, TemplateError


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def fake_run(monkeypatch):
    """`build run` that only notes its arguments, or does what `behave` says."""
    seen = types.SimpleNamespace(calls=[], behave=lambda: None)
    module = types.ModuleType("fake_run")

    def run(templates: list[str], var: list[str] = typer.Option([]), plain: bool = False):  # noqa: B008
        """Fake."""
        seen.calls.append((templates, var, plain))
        return seen.behave()

    module.run = run
    monkeypatch.setitem(sys.modules, "builder.cli.run", module)
    monkeypatch.setattr(lazy.VerbGroup, "_load", lambda _group, verb: lazy.load_verb(verb))
    return seen


@pytest.mark.parametrize(
    ("argv", "call"),
    [
        (["a.json"], (["a.json"], [], False)),
        (["run", "a.json"], (["a.json"], [], False)),
        (["a.json", "b.json", "--plain"], (["a.json", "b.json"], [], True)),
        (["--var", "k=v", "a.json"], (["a.json"], ["k=v"], False)),
        (["--plain", "a.json"], (["a.json"], [], True)),
        (["./runs"], (["./runs"], [], False)),
        (["-"], (["-"], [], False)),
    ],
)
def test_run_may_be_left_out(fake_run, argv, call):
    assert cli.main(argv) == 0
    assert fake_run.calls == [call]


def test_a_file_named_like_a_misspelt_verb_is_a_template(fake_run, tmp_path):
    (tmp_path / "rusn").write_text("{}")
    assert cli.main(["rusn"]) == 0
    assert fake_run.calls == [(["rusn"], [], False)]


@pytest.mark.parametrize(
    ("word", "hint"),
    [("rusn", "Did you mean 'run' or 'runs'?"), ("docter", "Did you mean 'doctor'?"), ("xyzzy", "--help")],
)
def test_a_misspelt_verb(capsys, fake_run, word, hint):
    assert cli.main([word]) == 2
    assert fake_run.calls == []
    err = capsys.readouterr().err
    assert f"error: '{word}' is neither a verb nor a file." in err
    assert hint in err


@pytest.mark.parametrize("argv", [["--bogus"], ["doctor", "--bogus"], ["a.json", "--bogus"], ["run"], []])
def test_wrong_words_exit_2(capsys, fake_run, argv):
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage: build" in captured.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("Wrong."), 2),
        (EnvironmentProblem("Missing."), 3),
        (BuildTimeoutError("Late."), 4),
        (GoldsmithError("Failed."), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 1),
        (RuntimeError("bug"), 1),
        (typer.Exit(5), 5),
    ],
)
def test_exit_codes(fake_run, error, code):
    def fail():
        raise error

    fake_run.behave = fail
    assert cli.main(["a.json"]) == code


def test_an_error_is_a_message_details_and_a_hint(capsys, fake_run):
    def fail():
        raise EnvironmentProblem("No QEMU.", details=("looked in /usr/bin",), hint="Install it.")

    fake_run.behave = fail
    cli.main(["a.json"])
    assert capsys.readouterr().err == "error: No QEMU.\n  looked in /usr/bin\nhint: Install it.\n"


def test_every_problem_of_a_template_is_shown_with_its_line(capsys, tmp_path):
    file = tmp_path / "t.json"
    file.write_text('{\n  "tpye": 1\n}\n')
    place = Location(str(file), 2, 3, "/tpye")
    diagnostics = [
        Diagnostic("error", "Unknown", "unknown field 'tpye'", place, "Did you mean 'type'?"),
        Diagnostic("error", "Missing", "'location' is missing", Location("gone.json", 1, 1, "")),
    ]  # fmt: skip
    assert errors.report(TemplateError(diagnostics)) == 2
    err = capsys.readouterr().err
    assert f"{file}:2:3" in err
    assert '"tpye": 1' in err
    assert "Did you mean 'type'?" in err
    assert "gone.json:1:1" in err
    assert "2 problems in the template" in err


@pytest.mark.parametrize("argv", [["doctor", "--json"], ["x", "--events", "-"], ["x", "--events=-"]])
def test_machines_get_json_errors(capsys, argv):
    error = TemplateError([Diagnostic("error", "Bad", "no", Location("t.json", 2, 3, "/a"), "do")])
    assert errors.report(error, argv) == 2
    data = json.loads(capsys.readouterr().err)["error"]
    assert (data["code"], data["exitCode"]) == ("BadTemplate", 2)
    assert data["diagnostics"] == [
        {"severity": "error", "code": "Bad", "message": "no", "file": "t.json", "line": 2, "column": 3,
         "pointer": "/a", "hint": "do"}
    ]  # fmt: skip


@pytest.mark.parametrize("argv", [["x"], ["x", "--events", "f"], ["x", "--", "--json"]])
def test_people_do_not(argv):
    assert not errors.is_machine_mode(argv)


def test_a_full_disk_is_nobodys_mistake(capsys, fake_run, home):
    def fill():
        raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/x")

    fake_run.behave = fill
    assert cli.main(["a.json"]) == 3
    err = capsys.readouterr().err
    assert err.startswith("error: There is no room left on a disk: ")
    assert "/somewhere/x" in err
    assert not (home / "crash").exists()


def test_a_crash_is_written_to_a_file_and_not_on_the_screen(capsys, fake_run, home):
    def crash():
        raise ValueError("oh dear")

    fake_run.behave = crash
    assert cli.main(["a.json", "--var", "password=hunter2"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: internal error: ValueError: oh dear\n")
    assert "Traceback" not in err
    (file,) = (home / "crash").iterdir()
    assert str(file) in err
    text = file.read_text()
    assert "Traceback" in text
    assert "oh dear" in text
    assert "hunter2" not in text
    assert file.stat().st_mode & 0o077 == 0


def test_a_crash_can_be_seen(capsys, fake_run, monkeypatch):
    def crash():
        raise ValueError("oh dear")

    monkeypatch.setenv("GOLDSMITH_DEBUG", "1")
    fake_run.behave = crash
    cli.main(["a.json"])
    assert "Traceback" in capsys.readouterr().err


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("goldsmith ")


def test_help_lists_every_verb_with_examples():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for verb in VERBS:
        assert f"\n  {verb.name} " in result.stdout
    assert "Examples:\n    build template.json" in result.stdout


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_help_with_examples(verb, capsys):
    assert cli.main([verb.name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: build {verb.name}" in out
    assert "Examples:\n    build " in out


def verbs_inside(command, words):
    """The words of every verb in a group, of those in groups within it too."""
    for name, child in getattr(command, "commands", {}).items():
        yield [*words, name]
        yield from verbs_inside(child, [*words, name])


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_of_a_group_has_examples_of_its_own(verb, capsys):
    for words in verbs_inside(lazy.load_verb(verb), [verb.name]):
        assert cli.main([*words, "--help"]) == 0
        shown = capsys.readouterr().out.partition("Examples:\n")[2].splitlines()
        assert shown, words
        assert all(line.split()[: len(words) + 1] == ["build", *words] for line in shown), words


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_example_has_words_that_the_verb_takes(verb):
    for line in verb.examples:
        command, words = lazy.load_verb(verb), shlex.split(line)[1:]
        if words[0] == verb.name:  # `run` may be left out
            words = words[1:]
        while hasattr(command, "commands"):
            command, words = command.commands[words[0]], words[1:]
        assert command.make_context(command.name, list(words)).params  # raises for a word it does not know


def test_completion_offers_verbs_and_their_options(monkeypatch, capsys):
    monkeypatch.setenv("_BUILD_COMPLETE", "complete_bash")
    for words, expected in (
        ("build ma", "marketplace"),
        ("build doctor --js", "--json"),
        ("build t.json --pl", "--plain"),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert cli.main([]) == 0
        assert expected in capsys.readouterr().out.split()  # fmt: skip


HEAVY = ("sqlalchemy", "paramiko", "httpx", "rich", "pycdlib", "qemu", "jinja2", "builder.engine")


@pytest.fixture
def nothing_imported():
    """Our packages are imported anew inside, and afterwards everything is as it was."""
    before = dict(sys.modules)
    for name in before:
        if name.split(".")[0] in ("builder", "provisioners", "templates") or name.startswith(HEAVY):
            del sys.modules[name]
    yield
    sys.modules.clear()
    sys.modules.update(before)


@pytest.mark.usefixtures("nothing_imported")
def test_help_imports_nothing_heavy(capsys):
    fresh = importlib.import_module("builder.cli")
    assert fresh is not cli
    for argv in (["--help"], ["--version"], ["rusn"]):
        fresh.main(argv)
    assert "Usage: build" in capsys.readouterr().out
    assert [name for name in HEAVY if name in sys.modules] == []
