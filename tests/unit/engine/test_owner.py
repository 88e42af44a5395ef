from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from builder import beacon
from builder.owner import (
    Owner,
    command_line,
    current_owner,
    find_by_argument,
    parse_stat,
    start_ticks,
    uptime_ticks,
)


def test_this_process_is_alive_and_started_in_the_past() -> None:
    me = Owner.current()
    assert me.alive()
    assert me.pid == os.getpid()
    assert 0 < me.start_ticks <= uptime_ticks()


def test_another_start_time_or_boot_is_another_process() -> None:
    me = Owner.current()
    assert not replace(me, start_ticks=me.start_ticks - 1).alive()
    assert not replace(me, boot_id="00000000-0000-0000-0000-000000000000").alive()


def test_a_signal_never_reaches_a_process_that_only_has_the_pid() -> None:
    me = Owner.current()
    # SIGTERM would end the test run if it got through.
    assert not replace(me, start_ticks=me.start_ticks + 1).signal(signal.SIGTERM)
    assert not replace(me, boot_id="another boot").signal(signal.SIGTERM)
    assert me.signal(0)


def test_a_pid_nobody_has() -> None:
    unused = int(Path("/proc/sys/kernel/pid_max").read_text())
    assert Owner.of(unused) is None
    assert start_ticks(unused) is None
    assert command_line(unused) == ()
    assert not replace(Owner.current(), pid=unused).signal(0)


def test_one_that_the_host_hides_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = Owner.current()
    monkeypatch.setattr("builder.owner.start_ticks", lambda _pid: None)
    assert me.known_alive() is False, "we could signal it, so it was not hidden"

    def refused(_pid: int, _signum: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.kill", refused)
    assert me.known_alive() is None
    with pytest.raises(PermissionError):
        me.signal(0)
    beacon.light(tmp_path)
    # Through a descriptor of its own, as any other process would see it.
    assert me.known_alive() is True
    assert replace(me, token="ab" * 8).known_alive() is None


def test_json_round_trip_and_nonsense() -> None:
    me = Owner.current()
    assert Owner.from_json(me.to_json()) == me
    for nonsense in (None, {}, [], {"pid": "1", "startTicks": 1, "bootId": "x"}, {"pid": -1}):
        assert Owner.from_json(nonsense) is None


def test_a_name_with_parentheses_and_blanks_does_not_shift_the_fields() -> None:
    fields = ["S", *(str(number) for number in range(4, 22)), "987654", "0"]
    assert parse_stat(f"42 (evil) R 1 (x) {' '.join(fields)}".encode()) == 987654
    assert parse_stat(f"42 (gone) Z {' '.join(fields[1:])}".encode()) is None


def test_the_search_by_argument_needs_a_whole_argument_and_leaves_us_out() -> None:
    own = command_line(os.getpid())
    assert own
    assert all(found.pid != os.getpid() for found in find_by_argument(own[0]))
    assert find_by_argument("no-process-has-this-argument-7f3a") == []


def test_an_owner_is_one_text_for_a_column() -> None:
    mine = current_owner()
    assert Owner.from_text(mine) == Owner.current()
    boot, pid, ticks = mine.split("/")[:3]
    for other in (f"x{boot}/{pid}/{ticks}", f"{boot}/{pid}/{int(ticks) + 1}"):
        owner = Owner.from_text(other)
        assert owner is not None
        assert not owner.alive()
    before = Owner.from_text(f"{boot}/{pid}/{ticks}")
    assert before is not None, "as it was written before there were names"
    assert before.alive()
    for nobody in (f"{boot}/{pid}", "", "//"):
        assert Owner.from_text(nobody) is None


def test_an_owner_in_a_container_names_its_namespace() -> None:
    inside = replace(Owner.current(), namespace="4026532300")
    assert Owner.from_text(inside.to_text()) == inside
    assert Owner.from_json(inside.to_json()) == inside
    assert "pidNamespace" not in replace(inside, namespace="").to_json()
