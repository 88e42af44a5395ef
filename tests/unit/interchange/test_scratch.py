"""The folder that work without a build has."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.disk.extents import part_of
from builder.errors import ConflictError
from builder.gc import collect
from builder.interchange.scratch import Scratch
from builder.services import Services
from builder.workspace import works_on


def scratch(services: Services, run_id: str = "import-1") -> Scratch:
    return Scratch(services.home, "import_g_web", run_id=run_id, what="The import of g/web", bus=services.bus)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_nothing_is_left_and_nobody_else_gets_in(services: Services, tmp_path: Path) -> None:
    part = part_of(tmp_path / "a.vhd")
    with scratch(services) as inside:
        inside.file("os.vhd").write_text("x")
        inside.announce(part)
        part.write_text("half")
        assert works_on(services.home, "import-1") and not works_on(services.home, "import-2")
        with pytest.raises(ConflictError, match="g/web is under way"):
            scratch(services, "import-2").__enter__()
        # A living one is left alone.
        assert collect(services.home, None).removed == []
        assert inside.file("os.vhd").exists()
    assert not part.exists()
    assert names(services.home.staging) == []
    assert not works_on(services.home, "import-1")


def test_what_a_dead_one_left_goes_with_the_next_or_gc(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sweep in ("next", "gc"):
        dead = scratch(services)
        dead.__enter__()
        dead.file("os.vhd").write_text("x")
        part, other = part_of(tmp_path / "a.vhd"), tmp_path / "a.vhd"
        other.write_text("somebody's")
        dead.announce(part)
        part.write_text("half")
        dead._lock.release()  # as the kernel does when a process dies
        if sweep == "gc":
            (item,) = collect(services.home, None).removed
            assert (item.kind, item.name) == ("workspace", "import_g_web")
        else:
            with scratch(services, "import-2"):
                assert not part.exists()
        assert not part.exists() and other.exists()
        assert names(services.home.staging) == []
