"""The ring of the inner loop is quick."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Iterator

import pytest


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: looking at them again and again cost a fifth of the ring's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.fixture(scope="module", autouse=True)
def synchronous_as_shipped() -> Iterator[str]:
    """Power cuts are not what these tests are about: nothing waits for the disk. Those that look at the
    waiting put their own in place, or take the registry's setting as it was before.
    """
    from builder.registry import sqlite

    shipped = sqlite.SYNCHRONOUS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        patch.setattr(os, "fdatasync", lambda _descriptor: None)
        patch.setattr(sqlite, "SYNCHRONOUS", "OFF")
        yield shipped


@pytest.fixture(scope="session", autouse=True)
def commands_are_made_once() -> Iterator[None]:
    """A process makes the command of its one verb; hundreds in a row took a tenth of the ring's time."""
    import typer.main
    import typer.testing

    made = functools.cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", made)
        patch.setattr(typer.testing, "_get_command", made)
        yield
