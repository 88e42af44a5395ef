"""Goldsmith against Debian's packer: the same base, provisioners, deprovision and VHD, in turn, in one run.

Both get the same base image file, the same machine (CPUs, memory, CPU model, accelerator), the same
shell lines, AIB's deprovision and a fixed VHD at the end. They take turns, and who goes first
changes with every pair, so that a drifting machine hurts both alike. Goldsmith's first build (it
imports the base into its cache) is not counted and reported apart; it uses no layer cache.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import goldsmith_side
import packer_side
import report
import seed
from workloads import WORKLOADS, Machine, Result, Workload

DEPROVISION = """\
#!/bin/sh
# AIB's default, then off: after it no account is left that could ask for a shutdown. Azure brings the
# file that says which user to delete; without it waagent would leave the build user and its key.
cd /
mkdir -p /var/lib/waagent
cat > /var/lib/waagent/ovf-env.xml <<OVF
<?xml version="1.0" encoding="utf-8"?>
<ns0:Environment xmlns:ns0="http://schemas.dmtf.org/ovf/environment/1" xmlns:ns1="http://schemas.microsoft.com/windowsazure">
  <ns1:ProvisioningSection>
    <ns1:Version>1.0</ns1:Version>
    <ns1:LinuxProvisioningConfigurationSet>
      <ns1:ConfigurationSetType>LinuxProvisioningConfiguration</ns1:ConfigurationSetType>
      <ns1:HostName>localhost</ns1:HostName>
      <ns1:UserName>packer</ns1:UserName>
      <ns1:DisableSshPasswordAuthentication>true</ns1:DisableSshPasswordAuthentication>
    </ns1:LinuxProvisioningConfigurationSet>
  </ns1:ProvisioningSection>
  <ns1:PlatformSettingsSection>
    <ns1:Version>1.0</ns1:Version>
    <ns1:PlatformSettings><ns1:ProvisionGuestAgent>true</ns1:ProvisionGuestAgent></ns1:PlatformSettings>
  </ns1:PlatformSettingsSection>
</ns0:Environment>
OVF
WAAGENT=/usr/sbin/waagent
waagent -version 1> /dev/null 2>&1
if [ $? -eq 0 ]; then
  WAAGENT=waagent
fi
$WAAGENT -force -deprovision+user && export HISTSIZE=0 && sync
systemctl poweroff --force
"""


def main() -> int:
    """Run the comparison. Returns the exit code."""
    options = _options()
    if "packer" in options.tools and packer_side.available() is None:
        print("error: packer is not installed.\nhint:  sudo apt-get install packer", file=sys.stderr)
        return 3
    machine = Machine(cpu_model=options.cpu, accelerator=options.accelerator)
    if options.room is not None:
        options.room.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix="versus-packer-", dir=options.room))
    try:
        results = _measure(options, machine, room)
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        if options.keep:
            print(f"kept: {room}", file=sys.stderr)
        else:
            shutil.rmtree(room, ignore_errors=True)
    if not results:
        print("error: nothing was measured; raise --minutes.", file=sys.stderr)
        return 1
    facts = report.host() | {"packer": packer_side.available() or "none"}
    print(report.render(results, machine, facts))
    if options.json:
        report.save(options.json, results, machine, facts)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/versus_packer", description=__doc__)
    parser.add_argument(
        "--base", type=Path, required=True, help="a bootable raw image with cloud-init and waagent"
    )
    parser.add_argument("--pairs", type=int, default=5, help="pairs per workload (default 5)")
    parser.add_argument("--minutes", type=float, default=30, help="start no new pair after this (default 30)")
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument(
        "--tools", nargs="+", choices=["goldsmith", "packer"], default=["goldsmith", "packer"]
    )
    parser.add_argument("--cpu", default=Machine.cpu_model, help="QEMU CPU model of packer's VM: ours")
    parser.add_argument("--accelerator", choices=["tcg", "kvm"], default="tcg")
    parser.add_argument(
        "--room", type=Path, default=None, help="where to work (default: the temporary directory)"
    )
    parser.add_argument("--keep", action="store_true", help="keep logs and images")
    parser.add_argument("--json", type=Path, help="write the raw numbers here")
    return parser.parse_args()


def _measure(options: argparse.Namespace, machine: Machine, room: Path) -> list[Result]:
    base = options.base.resolve(strict=True)
    home = room / "home"
    key = seed.make(room / "seed")

    def run(tool: str, workload: Workload, number: str) -> Result:
        place = room / f"{workload.name}-{number}-{tool}"
        if tool == "packer":
            result = packer_side.build(workload, base, key, machine, DEPROVISION, place)
        else:
            result = goldsmith_side.build(workload, machine, home, place)
        print(f"{workload.name} {number} {tool}: {result.seconds:.1f} s", file=sys.stderr, flush=True)
        if not options.keep:
            shutil.rmtree(place)
        return result

    if "goldsmith" in options.tools:
        goldsmith_side.make_home(home, base)
        run("goldsmith", WORKLOADS["trivial"], "first")
    end = time.monotonic() + options.minutes * 60
    results: list[Result] = []
    # Workloads alternate inside a round, so that running out of time leaves numbers for all of them.
    for pair in range(options.pairs):
        order = options.tools if pair % 2 == 0 else list(reversed(options.tools))
        for name in options.workloads:
            if time.monotonic() >= end:
                return results
            results += [run(tool, WORKLOADS[name], str(pair + 1)) for tool in order]
    return results


if __name__ == "__main__":
    sys.exit(main())
