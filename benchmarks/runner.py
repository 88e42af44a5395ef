"""Runs the rounds: who builds what, after whom, in which state. A failed build costs its own figure only."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cases
import ends
import flatten
import goldsmith_side
import known
import packer_side
import seed
from cases import Case, Known
from results import Result, Results
from workloads import WORKLOADS, Machine, Workload

FAILURES = (RuntimeError, OSError, subprocess.SubprocessError, ValueError, KeyError)
OURS, PACKER = "goldsmith", "packer"
NOT_USED = "a warm base was made, so the one in the cache was not used"
WRITES = 3
"""VHDs of each side that a round writes: one takes a moment, and a moment varies."""


class OutOfTime(Exception):
    """The limit of --minutes is reached; what there is, counts."""


class Runner:
    """One run of the program in the directory `room`."""

    def __init__(self, options: Namespace, machine: Machine, room: Path, results: Results) -> None:
        self._options = options
        self._machine = machine
        self._room = room
        self._results = results
        self._end = time.monotonic() + options.minutes * 60
        self._base = options.base.resolve(strict=True)
        self._home = room / "home"
        self._seed = seed.make(room / "seed")
        self._chain: flatten.Chain | None = None
        self._tried = False

    def run(self) -> None:
        """All rounds, every section in each, so that running out of time leaves figures for all."""
        options = self._options
        try:
            if OURS in options.tools and {"cases", "overhead"} & set(options.sections):
                self._prepare()
            for number in range(1, options.rounds + 1):
                for name in options.sets if "cases" in options.sections else ():
                    self._pair(name, number)
                if "overhead" in options.sections and OURS in options.tools:
                    self._overhead(number)
                if "flatten" in options.sections:
                    self._flatten(number)
        except OutOfTime:
            _say(f"--minutes {options.minutes:g} are over; the report has what there is")

    def _prepare(self) -> None:
        """Builds with nothing cached; they leave the warm base that the other cases start from."""
        goldsmith_side.make_home(self._home, self._base)
        goldsmith_side.warm_up(self._machine, self._home, self._room / "warm-up", WORKLOADS["trivial"])
        wanted = self._options.cold if "cases" in self._options.sections else 0
        for number in range(1, wanted + 1):
            for name in self._options.sets:
                if not self._results.has(OURS, [cases.cold(name).name], number):
                    self._ours(cases.cold(name), number, self._room / f"{name}-cold-{number}")

    def _pair(self, name: str, number: int) -> None:
        """One set on both sides; who goes first changes, so that a drifting machine hurts both alike."""
        order = [OURS, PACKER] if number % 2 else [PACKER, OURS]
        for tool in order:
            if tool not in self._options.tools:
                continue
            if tool == PACKER:
                self._packer(WORKLOADS[name], number)
            else:
                self._series(cases.series(name), number)

    def _series(self, listed: Sequence[Case], number: int) -> None:
        """Our cases of a set. Each starts where the one before ended, so all of them or none."""
        names = [case.name for case in listed]
        if self._results.has(OURS, names, number):
            return
        self._results.drop(OURS, names, number)
        place = self._room / f"{listed[0].set.name}-{number}"
        for case in listed:
            if not self._ours(case, number, place):
                break
        self._clear(place)

    def _ours(self, case: Case, number: int, place: Path) -> bool:
        self._gate()
        try:
            there, before = self._state(case.known), known.bases(self._home)
            workload = case.workload(number)
            log = case.name.replace(" ", "-").replace(",", "")
            build = goldsmith_side.build(workload, case.targets, self._machine, self._home, place, log)
            doubts = [known.missing(case.known, there), *_claims(case, build)]
            if before and known.bases(self._home) != before:
                doubts.append(NOT_USED)
            doubts += [fault for vhd in build.vhds for fault in ends.wrong(vhd, workload)]
        except FAILURES as error:
            self._failed(OURS, case.name, number, error)
            return False
        self._keep(_ours_result(build, case.name, number, tuple(filter(None, doubts))))
        if case.known == "nothing":
            self._clear(place)
        return True

    def _packer(self, workload: Workload, number: int) -> None:
        if self._results.has(PACKER, [workload.name], number):
            return
        self._gate()
        place = self._room / f"{workload.name}-{number}-packer"
        try:
            seconds, phases, vhd = packer_side.build(workload, self._base, self._seed, self._machine, place)
            doubts = ends.wrong(vhd, workload)
            size = vhd.stat().st_size
        except FAILURES as error:
            self._failed(PACKER, workload.name, number, error)
        else:
            result = Result(PACKER, workload.name, number, seconds, phases, size, doubts=doubts)
            self._keep(result)
        self._clear(place)

    def _overhead(self, number: int) -> None:
        """Steps that do nothing; who goes first changes."""
        both = cases.idle(self._options.steps)
        for listed in both if number % 2 else reversed(both):
            self._series(listed, number)

    def _flatten(self, number: int) -> None:
        pair = [flatten.OURS, flatten.THEIRS]
        if all(self._results.has(tool, [flatten.CASE], number) for tool in pair):
            return
        self._gate()
        try:
            if self._chain is None:
                self._chain = flatten.Chain(self._base, self._room / "flatten")
                for tool in pair:  # the base comes into the host's memory; not counted
                    self._chain.write(tool)
            for tool in pair:
                self._results.drop(tool, [flatten.CASE], number)
            for tool in (pair if number % 2 else pair[::-1]) * WRITES:
                seconds, vhd = self._chain.write(tool)
                self._keep(Result(tool, flatten.CASE, number, seconds, vhd_bytes=vhd.stat().st_size))
            if not self._chain.same():
                raise RuntimeError("the two VHDs hold different disks")
        except FAILURES as error:
            self._failed(flatten.OURS, flatten.CASE, number, error)

    def _state(self, wanted: Known) -> Counter[str]:
        """Bring the cache to what a case may know. Returns what is in it."""
        there = known.reduce_to(self._home, wanted)
        if wanted == "nothing" or there[known.BOOT] or self._tried:
            return there
        self._tried = True  # a version without layers makes none, however often it builds
        self._uncounted(WORKLOADS["trivial"])
        return known.reduce_to(self._home, wanted)

    def _uncounted(self, workload: Workload) -> None:
        """A build that leaves a warm base where nothing was built cold: not asked for, or resumed."""
        place = self._room / "uncounted"
        try:
            goldsmith_side.build(workload, 1, self._machine, self._home, place, "build")
        except FAILURES as error:
            self._failed(OURS, "uncounted first build", 0, error)
        self._clear(place)

    def _gate(self) -> None:
        if time.monotonic() >= self._end:
            raise OutOfTime

    def _keep(self, result: Result) -> None:
        self._results.add(result)
        doubts = f"  NOT AS CLAIMED: {'; '.join(result.doubts)}" if result.doubts else ""
        _say(f"{result.round}  {result.tool:<10} {result.case:<26} {result.seconds:7.2f} s{doubts}")

    def _failed(self, tool: str, case: str, number: int, error: Exception) -> None:
        said = _stderr(error) or str(error)
        self._results.add(Result(tool, case, number, error=_short(said) or repr(error)))
        _say(f"{number}  {tool:<10} {case:<26} FAILED: {said}")

    def _clear(self, place: Path) -> None:
        if not self._options.keep:
            shutil.rmtree(place, ignore_errors=True)


def _claims(case: Case, build: goldsmith_side.Build) -> list[str]:
    """In what a build was not what its case says it is."""
    said, machines = build.evidence, build.watched.machines
    wanted = list(case.steps if case.steps is not None else range(1, len(case.set.steps) + 1))
    doubts = [note for note in said.notes if "so the VM gets" in note]
    if said.ran != wanted:
        doubts.append(f"customizers that ran: {said.ran}, expected: {wanted}")
    if not case.vm and machines:
        doubts.append(f"{len(machines)} VM(s) were started")
    if not case.vm and "Boot" in said.stages:
        doubts.append("the stage Boot ran")
    guest = [phase.name for phase in said.phases if phase.where == "guest"]
    if not case.vm and guest:
        doubts.append(f"phases in a guest: {', '.join(guest)}")
    if case.vm and not machines:
        doubts.append("no VM was seen")
    return doubts


def _ours_result(build: goldsmith_side.Build, case: str, number: int, doubts: tuple[str, ...]) -> Result:
    return Result(
        OURS, case, number, build.watched.seconds, build.evidence.phases, build.vhds[0].stat().st_size,
        build.watched.peak_kib, build.evidence.steps, doubts,
    )  # fmt: skip


def _short(said: str) -> str:
    """The first line, and the first that names the reason."""
    lines = said.splitlines()
    reason = next((line.strip() for line in lines[1:] if "error:" in line.lower()), "")
    return ": ".join(filter(None, (*lines[:1], reason)))


def _stderr(error: Exception) -> str:
    said = getattr(error, "stderr", None)
    return said.decode(errors="replace").strip() if isinstance(said, bytes) else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
