"""No method of the registry without a permission."""

from __future__ import annotations

import inspect

import pytest

from builder.registry.part import Part
from builder.registry.permissions import PERMISSIONS, guarded
from builder.registry.store import Registry

METHODS = {name for name, _ in inspect.getmembers(Registry, inspect.isfunction) if not name.startswith("_")}


def test_every_method_has_a_permission_and_every_permission_a_method() -> None:
    assert set(PERMISSIONS) == METHODS, "declare it in builder/registry/permissions.py"


@pytest.mark.parametrize("name", sorted(METHODS))
def test_what_demands_nothing_says_why(name: str) -> None:
    need = PERMISSIONS[name]
    assert need.why if need.kind == "free" else need.action.count("/") >= 2


@pytest.mark.parametrize("name", sorted(METHODS))
def test_what_demands_something_asks(name: str) -> None:
    assert hasattr(getattr(Registry, name), "__wrapped__") == bool(PERMISSIONS[name].action)


def test_a_forgotten_method_is_refused_when_the_registry_is_made() -> None:
    class Forgetful(Part):
        def burn_everything(self) -> None:
            """Has no permission."""

    with pytest.raises(TypeError, match=r"Forgetful\.burn_everything has no permission: declare it"):
        guarded(Forgetful)
