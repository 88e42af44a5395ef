"""The verdict about KVM: asked once, remembered, overruled. The probe itself is for tests/vm."""

import json

import pytest

from builder.errors import EnvironmentProblem
from builder.events import EventBus, Note
from builder.redact import Redactor
from builder.settings import Home, Settings
from builder.vm import accelerator
from builder.vm.probe import BOOT_SECTOR, probe_argv


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def bus(notes):
    bus = EventBus(Redactor())
    bus.add_sink(lambda envelope: notes.append(envelope.event))
    return bus


@pytest.fixture
def probe(monkeypatch, tmp_path):
    """Stands in for the probe guest: says `problem`, counts how often it is asked."""

    class Probe:
        problem = ""
        asked = 0

        def __call__(self, qemu: str) -> str:
            self.asked += 1
            return self.problem

    fake = Probe()
    qemu = tmp_path / "qemu"
    qemu.write_text("")
    monkeypatch.setattr(accelerator, "_problem_with_kvm", fake)
    monkeypatch.setattr(accelerator.process, "require", lambda program, package: str(qemu))
    monkeypatch.setattr(accelerator, "host_boot_id", lambda: "boot-1")
    return fake


def test_working_kvm_is_used_and_asked_once(home, bus, notes, probe):
    first = accelerator.choose(Settings(), home, bus)
    second = accelerator.choose(Settings(), home, bus)
    assert first == second
    assert (first.name, first.argv, first.cpu_model, first.proven) == (
        "kvm",
        ("-accel", "kvm"),
        "host",
        False,
    )
    assert probe.asked == 1
    assert [event.kind for event in notes] == ["wait.started", "wait.finished"], "only where it is asked"


def test_broken_kvm_means_tcg_said_every_time(home, bus, notes, probe):
    probe.problem = "a guest dies under it (emulation failure)"
    for _ in range(2):
        found = accelerator.choose(Settings(), home, bus)
        assert (found.name, found.cpu_model) == ("tcg", accelerator.TCG_CPU_MODEL)
        assert found.argv == ("-accel", "tcg,thread=multi,tb-size=1024")
    assert probe.asked == 1
    notes = [note for note in notes if isinstance(note, Note)]
    assert [note.code for note in notes] == ["NoKvm", "NoKvm"]
    assert notes[0].message == (
        "No working KVM: a guest dies under it (emulation failure); "
        "using TCG (software emulation), expect 10-20 times slower."
    )


def test_another_boot_of_the_host_asks_again(home, bus, probe, monkeypatch):
    accelerator.choose(Settings(), home, bus)
    monkeypatch.setattr(accelerator, "host_boot_id", lambda: "boot-2")
    accelerator.choose(Settings(), home, bus)
    assert probe.asked == 2


def test_unreadable_memory_counts_as_none(home, bus, probe):
    file = home.root / "cache" / "accelerator.json"
    file.parent.mkdir()
    for text in ("", "[]", '{"key": 1}', "\xff"):
        file.write_bytes(text.encode("latin-1"))
        assert accelerator.choose(Settings(), home, bus).name == "kvm"
    assert probe.asked == 4


def test_a_real_guest_overrules_the_probe(home, bus, notes, probe):
    assert accelerator.choose(Settings(), home, bus).name == "kvm"
    fallback = accelerator.condemn(home, "the guest makes no progress", bus)
    assert fallback.name == "tcg"
    assert "the guest makes no progress" in notes[-1].message
    assert accelerator.choose(Settings(), home, bus).name == "tcg"
    assert probe.asked == 1


def test_success_is_remembered(home, bus, probe):
    accelerator.confirm(accelerator.choose(Settings(), home, bus), home)
    assert accelerator.choose(Settings(), home, bus).proven
    assert json.loads((home.root / "cache" / "accelerator.json").read_text())["proven"] is True


def test_settings_decide(home, bus, notes, probe):
    assert accelerator.choose(Settings(accelerator="tcg"), home, bus).name == "tcg"
    assert probe.asked == 0
    assert notes == []
    probe.problem = "there is no /dev/kvm"
    with pytest.raises(EnvironmentProblem, match="there is no /dev/kvm"):
        accelerator.choose(Settings(accelerator="kvm"), home, bus)


def test_probe_is_one_boot_sector(tmp_path):
    assert len(BOOT_SECTOR) == 512
    assert BOOT_SECTOR[510:] == b"\x55\xaa"
    words = probe_argv("qemu", "kvm", "host", tmp_path / "a,b", tmp_path / "s")
    assert any("a,,b" in word for word in words)
    assert words[words.index("-accel") + 1] == "kvm"
