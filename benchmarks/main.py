"""Goldsmith against Debian's packer: the same base, provisioners, deprovision and VHD, in turn, in one run.

Both get the same base image file, the same machine (CPUs, memory, CPU model, accelerator), the same
shell lines, AIB's deprovision and a fixed VHD at the end. They take turns, and who goes first changes
with every round, so that a drifting machine hurts both alike. docs/benchmarks.md says what each case is.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import facts
import packer_side
import report
import tables
from results import Results
from runner import Runner
from workloads import WORKLOADS, machine

SECTIONS = ("cases", "overhead", "flatten")
TOOLS = ("goldsmith", "packer")


def main() -> int:
    """Run the comparison. Returns the exit code: 0, 1 when a build failed or nothing was measured, 3."""
    options = _options()
    if "packer" in options.tools and "cases" in options.sections and packer_side.available() is None:
        print("error: packer is not installed.\nhint:  sudo apt-get install packer", file=sys.stderr)
        return 3
    vm = machine(options.accelerator, options.cpu)
    results = Results(facts.collect(vm), options.json or options.resume)
    if options.resume is not None and options.resume.exists():
        results.load(options.resume)
    for folder in filter(None, (options.room, results.file and results.file.parent)):
        folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is stopped reports, too
    room = Path(tempfile.mkdtemp(prefix="versus-packer-", dir=options.room))
    try:
        Runner(options, vm, room, results).run()
    except KeyboardInterrupt:
        print("interrupted; the report has what there is", file=sys.stderr)
    finally:
        if options.keep:
            print(f"kept: {room}", file=sys.stderr)
        else:
            shutil.rmtree(room, ignore_errors=True)
    results.facts["load after"] = facts.load()
    results.save()
    render = tables.markdown if options.markdown else tables.text
    print(render(report.blocks(results, options.steps)))
    if not results.good():
        print("error: nothing was measured.", file=sys.stderr)
    failed = any(result.error for result in results.items)
    return 1 if failed or not results.good() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/versus_packer", description=__doc__)
    add = parser.add_argument
    add("--base", type=Path, required=True, help="a bootable raw image with cloud-init and waagent")
    add("--rounds", "--pairs", type=int, default=5, help="builds of each case and side (default 5)")
    add("--cold", type=int, default=1, help="our builds with nothing cached, of each set (default 1)")
    add("--steps", type=int, default=20, help="steps of the long template of `overhead` (default 20)")
    add("--minutes", type=float, default=90, help="start no new build after this (default 90)")
    add("--quick", action="store_true", help="one round: a smoke test, no figures to quote")
    add("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="default: all")
    add(
        "--sets",
        "--workloads",
        nargs="+",
        choices=list(WORKLOADS),
        default=list(WORKLOADS),
        help="default: all",
    )
    add("--tools", nargs="+", choices=TOOLS, default=list(TOOLS), help="default: both")
    add("--cpu", help="QEMU CPU model of packer's VM (default: the one our engine takes)")
    add("--accelerator", choices=["tcg", "kvm"], default="tcg", help="of both (default tcg)")
    add("--room", type=Path, help="where to work (default: the temporary directory)")
    add("--keep", action="store_true", help="keep logs and images")
    add("--json", type=Path, help="write the raw numbers here, after every build")
    add("--resume", type=Path, help="go on from this file of --json; what it has is not measured again")
    add("--markdown", action="store_true", help="print the tables in Markdown")
    options = parser.parse_args()
    if options.steps < 2:
        parser.error("--steps: at least 2")
    if options.quick:
        options.rounds = 1
    return options


if __name__ == "__main__":
    sys.exit(main())
