"""Layers in real builds: gone on from, fallen back from, and equal to what a cold build makes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Cli, assert_nothing_left
from inventory import differences, inventory
from layered import Series, shell

from builder.disk import ext4, qemu_img
from builder.disk.filesystem import file_systems
from builder.disk.graph import BlockGraph
from builder.layers.layer import BOOT
from builder.sources.base import SourceDisk

pytestmark = [pytest.mark.timeout(3000), pytest.mark.usefixtures("quickstart", "no_leftovers")]

# What no two builds agree on; everything else must be the same.
VOLATILE = {
    "/lost+found",
    "/etc/resolv.conf",
    "/var/lib/systemd/timers",
    "/var/log/wtmp",
}
WORK = [
    shell(
        "Files",
        "sudo install -d -m 2750 -o nobody -g daemon /srv/site",
        "echo first | sudo tee /srv/site/first >/dev/null",
        "sudo setcap cap_net_raw+ep /usr/bin/env || true",
        "sudo ln -s first /srv/site/link",
        "dd if=/dev/zero bs=1M count=3 2>/dev/null | tr '\\0' x | sudo tee /srv/site/large >/dev/null",
    ),
    shell("Account", "sudo useradd -m -s /bin/sh alice", "sudo rm /srv/site/large"),
    shell("Last", "echo one | sudo tee /etc/motd"),
]


@pytest.fixture(scope="module")
def series(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Series:
    return Series(cli, tmp_path_factory.mktemp("layers"), "layers")


@pytest.fixture(scope="module")
def built(series: Series) -> Series:
    """A first build: whatever warm base there is, each of its steps has a layer afterwards."""
    first = series(WORK)
    assert first.result.code == 0, first.result.text
    assert first.outcomes() == ["succeeded"] * 3
    return series


def edited(line: str) -> list[dict[str, object]]:
    return [*WORK[:2], shell("Last", line)]


def test_an_edited_last_step_costs_that_step_and_equals_a_cold_build(built: Series) -> None:
    warm = built(edited("echo two | sudo tee /etc/motd"))
    assert warm.result.code == 0, warm.result.text
    assert warm.outcomes() == ["cached", "cached", "succeeded"]
    assert "Restore" in warm.phases
    assert "Boot" not in warm.phases
    cold = built(edited("echo two | sudo tee /etc/motd"), "--no-cache")
    assert cold.result.code == 0, cold.result.text
    assert cold.outcomes() == ["succeeded"] * 3
    assert "Boot" in cold.phases
    one, two = inventory(warm.vhd), inventory(cold.vhd)
    assert one["/srv/site"].mode & 0o7777 == 0o2750
    assert one["/etc/motd"].content == two["/etc/motd"].content
    assert len(one) > 5000
    assert [path for path in differences(one, two) if path not in VOLATILE] == []


def test_nothing_changed_starts_no_machine_and_a_new_target_is_only_distributed(built: Series) -> None:
    again = built(WORK)
    if again.outcomes() != ["cached"] * 3:  # --no-cache of another test took the layers away
        again = built(WORK)
    assert again.result.code == 0, again.result.text
    assert again.outcomes() == ["cached"] * 3
    assert again.outcomes("Generalize") == ["cached"]
    assert "Boot" not in again.stages
    more = [{"type": "VHD", "runOutputName": "layers-vhd"}, {"type": "VHD", "runOutputName": "second"}]
    wider = built(WORK, distribute=more)
    assert wider.outcomes("Distribute") == ["succeeded", "succeeded"], wider.result.text
    assert "Boot" not in wider.stages
    assert qemu_img.info(wider.vhd.with_name("second.vhd"), "vpc").virtual_size > 0


def test_a_restored_guest_has_the_right_clock_fresh_random_numbers_and_its_network(built: Series) -> None:
    with listening() as (port, seen):
        look = [
            "date +%s",
            "cat /proc/sys/kernel/random/uuid",
            f"bash -c 'exec 3<>/dev/tcp/10.0.2.2/{port}; echo hello >&3'",
        ]
        runs = [built(edited_lines(*look, f"true {number}")) for number in (1, 2)]
    for run in runs:
        assert run.result.code == 0, run.result.text
        assert "Restore" in run.phases
        told = next(e for e in run.events if e["kind"] == "step.output" and e["line"] == run.output[-2])
        at = time.mktime(time.strptime(told["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        assert abs(int(run.output[-2]) - at) < 30
    assert runs[0].output[-1] != runs[1].output[-1]
    assert len(seen) == 2


def edited_lines(*lines: str) -> list[dict[str, object]]:
    return [*WORK[:2], shell("Last", *lines)]


def test_a_damaged_memory_is_given_up_for_the_disk_and_a_damaged_disk_for_the_layer_below(
    built: Series,
) -> None:
    layer = built.layer("Account")
    with layer.memory.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(1 << 20))
    booted = built(edited("echo three | sudo tee /etc/motd"))
    assert booted.result.code == 0, booted.result.text
    assert booted.outcomes() == ["cached", "cached", "succeeded"]
    assert "RestoreFailed" in booted.codes
    layer = built.layer("Account")
    assert layer.meta.memory is None, "a snapshot that failed is not tried again"
    (layer.folder / "disk.qcow2").write_bytes(b"cut")
    below = built(edited("echo four | sudo tee /etc/motd"))
    assert below.result.code == 0, below.result.text
    assert below.outcomes() == ["cached", "succeeded", "succeeded"]


def test_what_only_the_memory_holds_is_not_lost(built: Series) -> None:
    steps = [shell("Put", "echo kept > /tmp/note"), shell("Take", "cat /tmp/note")]
    series = Series(built.cli, built.folder, "volatile")
    first = series(steps)
    assert "kept" in first.output, first.result.text
    assert series.layer("Put").meta.volatile == ("/tmp/note",)
    second = series([steps[0], shell("Take", "cat /tmp/note", "echo again")])
    assert (second.outcomes(), second.output) == (["cached", "succeeded"], ["kept", "again"])
    series.layer("Put").memory.unlink()
    third = series([steps[0], shell("Take", "cat /tmp/note", "echo third")])
    assert (third.outcomes(), third.output) == (["succeeded", "succeeded"], ["kept", "third"])


def test_a_failed_build_resumes_at_the_step_that_failed(built: Series) -> None:
    series = Series(built.cli, built.folder, "resumes")
    failed = series([shell("Works", "echo done"), shell("Breaks", "exit 4")])
    assert failed.result.code == 1
    resumed = series([shell("Works", "echo done"), shell("Breaks", "exit 0")])
    assert resumed.result.code == 0, resumed.result.text
    assert resumed.outcomes() == ["cached", "succeeded"]


def test_a_retry_starts_from_the_clean_layer(built: Series) -> None:
    series = Series(built.cli, built.folder, "retries")
    with listening(answers=["no", "yes"]) as (port, seen):
        step = shell(
            "Flaky",
            "test ! -e /var/tmp/tried && touch /var/tmp/tried",
            f"answer=$(bash -c 'exec 3<>/dev/tcp/10.0.2.2/{port}; head -1 <&3')",
            'echo "answer: $answer"; test "$answer" = yes',
            retry=2,
        )
        done = series([shell("Before", "true"), step])
    assert done.result.code == 0, done.result.text
    assert done.outcomes() == ["succeeded", "failed", "succeeded"]
    assert done.output == ["answer: no", "answer: yes"]
    assert len(seen) == 2


def test_a_steps_secret_is_in_no_memory_snapshot(built: Series) -> None:
    canary = "canary-51c0ffee"
    series = Series(built.cli, built.folder, "secretive")
    steps = [
        shell("Public", "true"),
        shell("Secret", 'test -n "$TOKEN"', secrets={"TOKEN": {"env": "THE_TOKEN"}}),
        shell("After", "true"),
    ]
    done = series(steps, env={"THE_TOKEN": canary})
    assert done.result.code == 0, done.result.text
    assert series.layer("Public").meta.memory is not None
    assert series.layer("Secret").meta.memory is None
    assert series.layer("After").meta.memory is None
    held = subprocess.run(
        ["grep", "-rl", canary, str(series.store.root)], capture_output=True, text=True, check=False
    )
    assert (held.returncode, held.stdout) == (1, "")
    other = series(steps, env={"THE_TOKEN": "canary-another"})
    assert other.outcomes() == ["cached", "succeeded", "succeeded"], "a new secret is noticed"


def test_a_kept_guest_is_found_as_the_failed_step_left_it(built: Series) -> None:
    series = Series(built.cli, built.folder, "kept")
    steps = [shell("Breaks", "nohup sleep 7531 >/dev/null 2>&1 &", "echo here > /tmp/note; sleep 1; exit 3")]
    failed = series(steps, "--on-error", "keep")
    assert failed.result.code == 1, failed.result.text
    run = next(e["runId"] for e in failed.events if e["kind"] == "run.started")
    look = "cat /tmp/note; cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 7531'; exit 5\n"
    first = built.cli("shell", run, stdin=look)
    assert first.code == 5, first.text
    assert first.out.splitlines()[-2] == "here"
    assert int(first.out.splitlines()[-1]) >= 1
    # Its disk has moved on since: from now on it is booted.
    second = built.cli("shell", run, stdin="uptime -s; exit 6\n")
    assert second.code == 6, second.text


@pytest.mark.long
def test_every_layer_is_sound_on_its_own(built: Series, base_disk: SourceDisk, tmp_path: Path) -> None:
    """fsck is clean on each, after its journal was replayed on a copy; so is the qcow2 itself."""
    layers = {layer.meta.instance: layer for layer in built.store.all()}
    checked = 0
    for layer in layers.values():
        assert qemu_img.check(layer.folder / "disk.qcow2", "qcow2").clean
        chain, below = [layer], layer
        while below.meta.parent in layers:
            below = layers[below.meta.parent]
            chain.append(below)
        if below.meta.kind != BOOT or below.meta.source != source_of(built):
            continue  # of a source that is not at hand, or over a layer that another test damaged
        graph = base_disk.graph
        for one in reversed(chain):
            graph = BlockGraph((*graph.layers, one.disk))
        copy = tmp_path / "copy.vhd"
        qemu_img.flatten_to_vhd(graph, copy, size=layer.meta.virtual_size, timeout=600)
        for system in file_systems(copy):
            if system.kind != "ext4":
                continue
            part = system.partition
            ext4.preen(copy, part.start, part.size)
            ext4.fsck(copy, part.start)
            checked += 1
        copy.unlink()
    assert checked >= 4


def source_of(series: Series) -> str:
    return series.layer("Files").meta.source


@pytest.mark.parametrize(
    "moment",
    [
        "a layer is being stored",
        pytest.param("a step runs", marks=pytest.mark.long),
        pytest.param("the disk is flattened", marks=pytest.mark.long),
    ],
)
def test_killed_at_any_moment_no_layer_is_used_and_wrong(built: Series, moment: str) -> None:
    series = Series(built.cli, built.folder, f"killed-{moment.split()[1]}")
    steps = [shell("One", "echo one > ~/one"), shell("Two", "sleep 2", "cat ~/one")]
    file = series.file(steps)
    events = series.folder / f"{series.name}.jsonl"
    build = built.cli.start(file, "--output-dir", series.folder, "--events", events)
    signs = {
        "a layer is being stored": '"name": "Snapshot"',
        "a step runs": '"name": "Two"',
        "the disk is flattened": "Flattening the disk",
    }
    try:
        end = time.monotonic() + 900
        while not (events.exists() and same(signs[moment]) in same(events.read_text())):
            assert time.monotonic() < end
            assert build.poll() is None, build.stdout and build.stdout.read()
            time.sleep(0.02)
    finally:
        os.killpg(build.pid, signal.SIGKILL)
        build.wait(timeout=60)
    done = series(steps)
    assert done.result.code == 0, done.result.text
    assert done.output[-1:] == ["one"] or done.outcomes() == ["cached", "cached"]
    assert_nothing_left(built.cli.home)


def same(text: str) -> str:
    return text.replace(" ", "")


def test_the_cache_is_private(built: Series) -> None:
    assert built.store.root.stat().st_mode & 0o777 == 0o700
    for layer in built.store.all():
        assert layer.folder.stat().st_mode & 0o077 == 0


@pytest.mark.long
def test_without_a_budget_nothing_is_kept(built: Series, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "cache").mkdir(parents=True)
    shutil.copytree(built.cli.home / "cache" / "bases", home / "cache" / "bases", copy_function=os.link)
    series = Series(Cli(home, tmp_path), tmp_path, "nothing")
    done = series([shell("One", "true")], env={"GOLDSMITH_CACHE_SIZE_GIB": "0"})
    assert done.result.code == 0, done.result.text
    assert list((home / "cache").glob("layers/*")) == []
    assert list((home / "cache").glob("finished/*")) == []
    shutil.rmtree(home)


@contextmanager
def listening(answers: list[str] | None = None) -> Iterator[tuple[int, list[str]]]:
    """A port of this machine, which guests reach at 10.0.2.2; each connection gets the next answer."""
    seen: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(900)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            seen.append("connected")
            with connection:
                if answers is not None:
                    connection.sendall(f"{answers[len(seen) - 1]}\n".encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1], seen
    finally:
        server.close()
