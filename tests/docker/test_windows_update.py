"""WindowsUpdate against the double: rounds, restarts, failures, and what a round is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest

from builder.vm.access import BuildAccess
from builder.vm.ssh import SshGuest
from builder.vm.ssh_link import Endpoint
from provisioners import restart, windows_update
from provisioners.base import StepError, StepTimeoutError
from provisioners.windows_update import WindowsUpdateProvisioner
from templates.model import WindowsUpdateStep

from .recorder import Recorder
from .windows_double import Said, WindowsDouble

Round = Callable[["Updates"], int | Said | None]


class Updates:
    """Answers the rounds of an update step, one after the other, through the file they report in."""

    def __init__(self, double: WindowsDouble) -> None:
        self.double = double
        self.rounds: list[Round] = []
        self.restarts = 0
        double.answer = self.answer

    def answer(self, line: str) -> int | Said | None:
        if "Register-ScheduledTask" in line:
            return self.rounds.pop(0)(self)
        if "shutdown" in line:
            self.restarts += 1
            self.double.boot += 1
            return None
        return 0

    def report(self, **facts) -> None:
        script = next(name for name in self.double.files if name.endswith(".ps1"))
        whole = {"phase": "done", "restart": False, "hresult": "", "message": "", "updates": [], **facts}
        self.double.files[script.replace(".ps1", ".json")] = json.dumps(whole).encode()


def update(name: str, code: int = 2, hresult: str = "0x00000000") -> dict[str, object]:
    return {"id": f"{name}.1", "title": f"Update {name}", "code": code, "hresult": hresult}


def round_of(*updates, restart: bool = False, said: bytes = b"", **facts) -> Round:
    def one(state: Updates) -> Said:
        state.report(updates=list(updates), restart=restart, **facts)
        return Said(1 if facts.get("message") else 0, said)

    return one


@pytest.fixture(autouse=True)
def no_pause(monkeypatch) -> None:
    monkeypatch.setattr(windows_update, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(restart, "POLL_SECONDS", 0.05)


@pytest.fixture(params=["cmd", "powershell"])
def double(request) -> Iterator[WindowsDouble]:
    server = WindowsDouble(BuildAccess.generate(), shell=request.param)
    yield server
    server.close()


@pytest.fixture
def windows(double: WindowsDouble) -> Iterator[SshGuest]:
    guest = SshGuest(Endpoint("127.0.0.1", double.port), double.access, os_type="Windows")
    guest.connect(timeout=20)
    yield guest
    guest.disconnect()


@pytest.fixture
def updates(double: WindowsDouble) -> Updates:
    return Updates(double)


def step(**fields) -> WindowsUpdateProvisioner:
    return WindowsUpdateProvisioner(WindowsUpdateStep(type="WindowsUpdate", **fields), None)


def test_rounds_and_restarts_until_nothing_is_left(double, windows, updates) -> None:
    updates.rounds = [
        round_of(update("KB1"), update("KB2"), restart=True, said=b"2 found, 2 to install\r\n"),
        round_of(update("KB3")),
        round_of(restart=True),  # a restart is pending from before
        round_of(),
    ]
    recorder = Recorder()
    step().apply(windows, recorder.context())
    assert updates.rounds == []
    assert updates.restarts == 2
    assert "2 found, 2 to install" in recorder.stdout
    assert recorder.stderr[-1] == "goldsmith: no updates are left; 3 were installed"
    assert double.files == {}, "scripts and reports are deleted"


def test_exact_script_of_a_round(double, windows, updates) -> None:
    updates.rounds = [round_of()]
    step(
        search_criteria="IsInstalled=0", filters=["exclude:$_.Title -like '*Preview*'", "include:$true"],
        update_limit=20,
    ).apply(windows, Recorder().context())  # fmt: skip
    name = next(name for name in double.stored if name.endswith(".ps1"))
    text = double.stored[name].decode("utf-8-sig")
    assert text.startswith(
        "$criteria = 'IsInstalled=0'\n"
        "$filters = @('exclude:$_.Title -like ''*Preview*''', 'include:$true')\n"
        "$limit = 20\n"
        f"$reportFile = '{name[1:].replace('.ps1', '.json')}'\n"
    )
    task = next(line for line in double.texts() if "Register-ScheduledTask" in line)
    assert "-UserId 'SYSTEM' -LogonType ServiceAccount -RunLevel Highest" in task
    assert name[1:].replace("/", "\\") in task


def test_what_empty_fields_mean(double, windows, updates) -> None:
    updates.rounds = [round_of()]
    step().apply(windows, Recorder().context())
    text = next(data for name, data in double.stored.items() if name.endswith(".ps1")).decode("utf-8-sig")
    assert "$criteria = 'BrowseOnly=0 and IsInstalled=0'\n" in text
    assert "$filters = @('include:$true')\n$limit = 1000\n" in text


def test_an_update_that_keeps_failing_ends_the_step(windows, updates) -> None:
    bad = update("KB9", 4, "0x80070070")
    updates.rounds = [round_of(update("KB1"), bad), round_of(bad, restart=True), round_of(bad)]
    with pytest.raises(StepError, match=r"1 update could not be installed \(3 tries\)") as caught:
        step().apply(windows, Recorder().context())
    assert caught.value.details == ("Update KB9: 0x80070070 (ERROR_DISK_FULL: the disk is full)",)
    assert caught.value.hint == "Raise vmProfile.osDiskSizeGB."


def test_a_failure_that_goes_by_is_forgiven(windows, updates) -> None:
    updates.rounds = [round_of(update("KB9", 4, "0x80240016")), round_of(update("KB9")), round_of()]
    recorder = Recorder()
    step().apply(windows, recorder.context())
    assert any("another installation is at work" in line for line in recorder.stderr)


def test_a_search_that_fails_in_passing_is_repeated(windows, updates) -> None:
    busy = round_of(phase="search", hresult="0x80244022", message="busy")
    updates.rounds = [busy, busy, round_of()]
    step().apply(windows, Recorder().context())
    updates.rounds = [busy, busy, busy]
    with pytest.raises(
        StepError, match=r"search for updates failed: 0x80244022 .*the server is busy"
    ) as caught:
        step().apply(windows, Recorder().context())
    assert "later" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"phase": "search", "hresult": "0x80240032", "message": "x"}, "searchCriteria are not valid"),
        ({"phase": "filters", "hresult": "0x80131501", "message": "Missing ')'"}, r"filter.*Missing '\)'"),
        ({"phase": "install", "hresult": "0x87654321", "message": "odd"}, "phase install.*0x87654321"),
    ],
)
def test_an_error_that_stays_is_not_repeated(facts, message, windows, updates) -> None:
    updates.rounds = [round_of(**facts)]
    with pytest.raises(StepError, match=message):
        step().apply(windows, Recorder().context())


def test_windows_restarts_by_itself_in_a_round(double, windows, updates) -> None:
    def gone(state: Updates) -> None:
        state.double.boot += 1

    updates.rounds = [gone, round_of(update("KB1")), round_of()]
    recorder = Recorder()
    step().apply(windows, recorder.context())
    assert "goldsmith: the guest restarted by itself; searching again" in recorder.stderr
    updates.rounds = [gone, gone, gone]
    with pytest.raises(StepError, match="restarted by itself 3 times"):
        step().apply(windows, Recorder().context())


def test_a_link_that_drops_without_a_restart_is_said(windows, updates) -> None:
    updates.rounds = [lambda _state: None]
    with pytest.raises(StepError, match="connection to the guest was lost"):
        step().apply(windows, Recorder().context())


def test_what_comes_back_although_it_is_installed_ends_the_rounds(windows, updates) -> None:
    updates.rounds = [round_of(update("KB5")) for _ in range(3)]
    recorder = Recorder()
    step().apply(windows, recorder.context())
    assert any("offered again although it is installed" in line for line in recorder.stderr)


def test_new_updates_without_end_are_given_up(windows, updates) -> None:
    updates.rounds = [round_of(update(f"KB{n}")) for n in range(windows_update.MOST_ROUNDS)]
    with pytest.raises(StepError, match="still updates after 30 rounds"):
        step().apply(windows, Recorder().context())


@pytest.mark.parametrize("data", [b"", b"[]", b'{"phase": 1}', b'{"updates": [{}], "phase": "x"}'])
def test_a_report_that_is_none(data, windows, updates) -> None:
    def odd(state: Updates) -> int:
        state.report()
        name = next(name for name in state.double.files if name.endswith(".json"))
        state.double.files[name] = data
        return 3

    updates.rounds = [odd]
    with pytest.raises(StepError, match=r"without a report \(exit code 3\)"):
        step().apply(windows, Recorder().context())


def test_its_time_is_the_steps(windows, updates) -> None:
    def for_ever(state: Updates) -> int:
        import time

        time.sleep(3)
        return 0

    updates.rounds = [for_ever]
    with pytest.raises(StepTimeoutError, match="did not finish within"):
        step().apply(windows, Recorder().context(timeout=1.5))


def test_a_restart_that_is_refused(double, windows, updates) -> None:
    updates.rounds = [round_of(update("KB1"), restart=True)]
    answer = updates.answer
    double.answer = lambda line: Said(5, b"Access is denied.\r\n") if "shutdown" in line else answer(line)
    with pytest.raises(StepError, match="refused to restart"):
        step().apply(windows, Recorder().context())


def test_inputs_are_what_is_asked_for() -> None:
    plain, filtered = step().inputs(), step(filters=["include:$true", "exclude:$_.IsBeta"]).inputs()
    assert plain["searchCriteria"] == "BrowseOnly=0 and IsInstalled=0"
    assert plain["updateLimit"] == "1000"
    assert step(filters=["$_.BrowseOnly"]).inputs()["filters"] == '["include:$_.BrowseOnly"]'
    assert plain == step(filters=["include:$true"], update_limit=1000).inputs()
    assert re.search("IsBeta", filtered["filters"])
    assert filtered != plain
