"""Fields that are valid, carried, and mean nothing on one machine: each is told once, never ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from templates.pointers import join
from templates.report import Report

_Test = Callable[[Any], bool]


def _present(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return bool(value)


def _enabled(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(value, dict) and value.get("state") == "Enabled"


def _identified(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(value, dict) and value.get("type") != "None" and bool(value)


# Path below the resource, when it counts as used, what happens instead.
_NO_EFFECT: tuple[tuple[tuple[str, ...], _Test, str], ...] = (
    (("identity",), _identified, "the build runs as you; files are fetched without an Azure identity"),
    (
        ("properties", "vmProfile", "userAssignedIdentities"),
        _present,
        "the build VM has no Azure identity and reaches no Azure service with it",
    ),
    (
        ("properties", "vmProfile", "vnetConfig"),
        _present,
        "the build VM uses QEMU's user network, reachable from this machine only",
    ),
    (
        ("properties", "optimize", "vmBoot"),
        _enabled,
        "Azure's boot optimisation exists only there; the image is distributed as it was built",
    ),
    (
        ("properties", "optimize", "workload"),
        _enabled,
        "Azure's workload optimisation exists only there; the image is distributed as it was built",
    ),
    (
        ("properties", "autoRun"),
        _enabled,
        "there is no template service that would start by itself; `build` always builds when you run it",
    ),
)  # fmt: skip


def warn_no_effect(resource: dict[str, Any], pointer: str, report: Report) -> None:
    """One `NoEffect` warning for each field of the table that is in use.

    `managedResourceTags` and `stagingResourceGroup` are not here: the workspace takes them.
    """
    for path, used, instead in _NO_EFFECT:
        value: Any = resource
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if used(value):
            message = f"'{'.'.join(path[-2:] if len(path) > 2 else path[-1:])}' has no effect here: {instead}"
            report.warn("NoEffect", message, join(pointer, *path), key=True)
