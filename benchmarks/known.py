"""What a home's layer cache knows, and how a case gets the state it claims.

Directories are removed by hand, not by the command that is measured: the state must not depend on it.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

from cases import Known

BOOT = "boot"


def kinds(home: Path) -> Counter[str]:
    """How many layers of each kind there are; a finished image counts as `finished`."""
    found = Counter(_kind(layer) for layer in _directories(home / "cache" / "layers"))
    found["finished"] = len(_directories(home / "cache" / "finished"))
    return found


def reduce_to(home: Path, known: Known) -> Counter[str]:
    """Forget what the case must not know. Returns what is left."""
    if known != "all":
        for layer in _directories(home / "cache" / "layers"):
            if known == "nothing" or _kind(layer) != BOOT:
                shutil.rmtree(layer)
        shutil.rmtree(home / "cache" / "finished", ignore_errors=True)
    return kinds(home)


def bases(home: Path) -> frozenset[str]:
    """The warm bases; one that is made anew counts as another."""
    layers = _directories(home / "cache" / "layers")
    return frozenset(_meta(layer, "instance") or layer.name for layer in layers if _kind(layer) == BOOT)


def missing(known: Known, there: Counter[str]) -> str:
    """What the case says is known and is not, in words; empty when all is as claimed."""
    if known != "nothing" and not there[BOOT]:
        return "no warm base was in the cache"
    customized = sum(there.values()) - there[BOOT] - there["finished"]
    if known == "all" and not customized:
        return "no layer of a step was in the cache"
    return ""


def _kind(layer: Path) -> str:
    """Of a layer that cannot be read it is only known that it is no warm base."""
    return _meta(layer, "kind") or "unreadable"


def _meta(layer: Path, name: str) -> str:
    try:
        return str(json.loads((layer / "meta.json").read_text())[name])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _directories(folder: Path) -> list[Path]:
    """Those that are stored; what is being made or taken away begins with a dot."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
