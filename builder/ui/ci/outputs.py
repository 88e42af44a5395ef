"""What later steps of a pipeline need: names and values."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

from builder.ui.tally import Tally


def outputs_of(tallies: Sequence[Tally]) -> dict[str, str]:
    """The outputs of a command: state, run and exit code, and of each run output its type, path, uri, id and
    version, as `<runOutput>_path` ... Of several templates each name begins with the template's.
    """
    found: dict[str, str] = {}
    for tally in tallies:
        if tally.started is None:
            continue
        prefix = f"{_free(_key(tally.started.template), found)}_" if len(tallies) > 1 else ""
        found[f"{prefix}run_id"] = tally.started.run_id
        found[f"{prefix}log_dir"] = tally.started.log_dir
        found[f"{prefix}state"] = tally.finished.state if tally.finished else "Failed"
        for item in tally.artifacts:
            name = _free(f"{prefix}{_key(item.run_output)}", found)
            facts = [("type", item.type), ("path", item.path), ("uri", item.uri), ("id", item.id)]
            facts.append(("version", item.version))
            found |= {f"{name}_{key}": value for key, value in facts if value}
    return found


def output_lines(outputs: Mapping[str, str]) -> str:
    """`key=value` lines, as GitHub's `GITHUB_OUTPUT` and a dotenv file take them."""
    return "".join(f"{key}={_value(value)}\n" for key, value in outputs.items())


def azure_lines(outputs: Mapping[str, str]) -> str:
    """The same as output variables of an Azure Pipelines step."""
    return "".join(
        f"##vso[task.setvariable variable={key};isOutput=true]{_value(value)}\n"
        for key, value in outputs.items()
    )


def _free(name: str, taken: Mapping[str, str]) -> str:
    """`name`, or `name_2` ... when something that is another is called so: `run` has a `run_id`, and of `a-b`
    and `a.b` both are `a_b`.
    """
    names = (name if number == 1 else f"{name}_{number}" for number in itertools.count(1))
    facts = ("run_id", "type", "path", "uri", "id", "version")
    return next(one for one in names if not any(f"{one}_{fact}" in taken for fact in facts))


def _key(name: str) -> str:
    """What every shell takes for a name."""
    key = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return key if not key[:1].isdigit() else f"_{key}"


def _value(text: str) -> str:
    """On one line: a value that brought lines of its own could bring outputs of its own."""
    return re.sub(r"[\r\n]+", " ", text)
