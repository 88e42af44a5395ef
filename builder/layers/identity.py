"""Identities of layers: sha256 over what decides their content, never over names or times."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from provisioners.shell import DEFAULT_SHEBANG


def layer_id(parent: str, kind: str, epoch: int, inputs: Mapping[str, str]) -> str:
    """The identity of a layer: sha256 over its length-prefixed parts.

    Length prefixes keep ("ab", "c") and ("a", "bc") apart.
    """
    digest = hashlib.sha256()
    spec = json.dumps(dict(sorted(inputs.items())), separators=(",", ":"), ensure_ascii=False)
    for part in ("layer-1", parent, kind, str(epoch), spec):
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()


def input_digests(inputs: Mapping[str, str]) -> dict[str, str]:
    """What is remembered of a step's inputs, to say later what changed: a digest of each, of inline
    commands one a line. The texts themselves may hold what nobody should find in a cache.
    """
    found: dict[str, str] = {}
    for name, value in inputs.items():
        if name == "inline":
            # The first line is ours, unless the user's own is one.
            for number, line in enumerate(value.removeprefix(f"{DEFAULT_SHEBANG}\n").splitlines()):
                found[f"inline[{number}]"] = _short(line)
        else:
            found[name] = _short(value)
    return found


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs between two `input_digests`, in words: "inline[2] changed"."""
    changed = [name for name in now if name in before and before[name] != now[name]]
    added = [name for name in now if name not in before]
    removed = [name for name in before if name not in now]
    said = [
        f"{_listed(names)} {verb}"
        for names, verb in ((changed, "changed"), (added, "added"), (removed, "removed"))
        if names
    ]
    return ", ".join(said)


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
