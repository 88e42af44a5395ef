"""A command group that knows its verbs by name and imports one only when it is used."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from builder.cli.verbs import VERBS, Verb
from builder.errors import UsageError

if TYPE_CHECKING:
    from typer._click import Command, Context

DEFAULT_VERB = "run"


class VerbGroup(TyperGroup):
    """`build TEMPLATE...` is `build run TEMPLATE...`; verbs are placeholders until resolved.

    The placeholders carry name and summary, all that `--help` and shell completion need.
    """

    verbs: Sequence[Verb] = VERBS

    def __init__(self, **attrs: Any) -> None:  # noqa: ANN401 - typer's own signature
        super().__init__(**attrs)
        self._table = {verb.name: verb for verb in self.verbs}
        self._loaded: dict[str, Command] = {}
        for verb in self.verbs:
            self.add_command(TyperCommand(verb.name, help=verb.summary, short_help=verb.summary))

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Put in `run` where the verb was left out."""
        return super().parse_args(ctx, self._with_verb(ctx, list(args)))

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """The real command behind a placeholder; this is where its module is imported."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in self._table:
            command = self._load(self._table[name])
        return name, command, rest

    def _load(self, verb: Verb) -> Command:
        if verb.name not in self._loaded:
            self._loaded[verb.name] = load_verb(verb)
        return self._loaded[verb.name]

    def _with_verb(self, ctx: Context, args: list[str]) -> list[str]:
        own = {option for param in self.get_params(ctx) for option in (*param.opts, *param.secondary_opts)}
        for place, word in enumerate(args):
            if word.split("=", 1)[0] in own:
                continue
            if word in self._table:
                return args
            if not ctx.resilient_parsing and not word.startswith("-"):
                _refuse_misspelt_verb(word, list(self._table))
            return [*args[:place], DEFAULT_VERB, *args[place:]]
        return args


def load_verb(verb: Verb) -> Command:
    """Import a verb's `typer.Typer` and make it look like the rest: plain help, with its examples."""
    module_name, _, attribute = verb.target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise UsageError(f"'build {verb.name}' is not part of this version.") from error
    command: Any = typer.main.get_command(_as_app(module, verb.name, attribute))
    command.name = verb.name
    _make_plain(command)
    # Completion belongs to `build` itself; a Typer of its own would offer it once more per verb.
    command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
    if not command.help:
        command.help = verb.summary
    _add_examples(command, verb.examples, depth=2)
    return command  # type: ignore[no-any-return]


def _as_app(module: ModuleType, verb: str, attribute: str) -> typer.Typer:
    """A verb's module offers a `typer.Typer` (groups), or a function of its name with EPILOG beside it."""
    offered = getattr(module, attribute, None) or getattr(module, verb)
    if isinstance(offered, typer.Typer):
        return offered
    single = typer.Typer(rich_markup_mode=None, add_completion=False)
    single.command(name=verb, epilog=getattr(module, "EPILOG", None))(offered)
    return single


def _add_examples(command: Any, lines: Sequence[str], *, depth: int) -> None:  # noqa: ANN401 - groups and commands alike
    """Keep the examples a command brings; give it those of `lines` that fit otherwise: a command inside
    it gets the lines that name it in the word at `depth`.
    """
    if command.epilog:
        command.epilog = _as_written(command.epilog)
    elif lines:
        command.epilog = examples(*lines)
    for name, child in getattr(command, "commands", {}).items():
        fitting = [line for line in lines if line.split()[depth : depth + 1] == [name]]
        _add_examples(child, fitting, depth=depth + 1)


def _as_written(epilog: str) -> str:
    lines = [line for line in epilog.splitlines() if line.strip() and line.strip() != "\b"]
    return "\b\n" + "\n".join(lines)


def examples(*lines: str) -> str:
    r"""An epilog that lists examples as they are (`\b` keeps the help formatter from joining lines)."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _make_plain(command: Any) -> None:  # noqa: ANN401 - groups and commands alike
    # Rich help would import rich (a tenth of a second) and fold examples into its panels.
    command.rich_markup_mode = None
    for param in command.params:
        if getattr(param, "metavar", "") is None and not getattr(param, "is_flag", False):
            param.metavar = _metavar(param)
    for child in getattr(command, "commands", {}).values():
        _make_plain(child)


def _metavar(param: Any) -> str | None:  # noqa: ANN401 - click's Parameter
    """TEMPLATES for an argument, PATH, NUMBER or TEXT for an option; None leaves choices as they are."""
    if param.param_type_name == "argument":
        return str(param.name).upper()
    kind = str(getattr(getattr(param, "type_descriptor", None), "annotation", ""))
    for part, shown in (("Path", "PATH"), ("int", "NUMBER"), ("float", "NUMBER"), ("str", "TEXT")):
        if part in kind:
            return shown
    return None


def _refuse_misspelt_verb(word: str, verbs: list[str]) -> None:
    """Raise UsageError for a word that is neither a verb nor can be a template."""
    if word == "-" or Path(word).exists():
        return
    near = difflib.get_close_matches(word, verbs, n=2, cutoff=0.6)
    looks_like_a_file = any(mark in word for mark in "./\\*")
    if near and not looks_like_a_file:
        suggestion = " or ".join(f"'{name}'" for name in near)
        raise UsageError(f"'{word}' is neither a verb nor a file.", hint=f"Did you mean {suggestion}?")
    if not looks_like_a_file:
        raise UsageError(
            f"'{word}' is neither a verb nor a file.",
            hint="'build --help' lists the verbs; a template is named by its path, like ./template.json.",
        )
