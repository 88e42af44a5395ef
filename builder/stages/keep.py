"""Keeping a machine after a failure, and the shell into a running one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from builder import process
from builder.disk.extents import link_or_copy
from builder.vm.kept import KeptMachine
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from pathlib import Path

    from builder.stages.context import BuildContext
    from builder.stages.session import Session
    from builder.vm.access import BuildAccess

SYNC_SECONDS = 30


def keep(context: BuildContext, session: Session) -> Path:
    """End the machine and move its disk, seed and keys to `runs/<id>/kept`. Returns that directory.

    What lies below its disk in the workspace (the finished VHD, under a validation) is linked, not
    moved: it may yet be distributed.
    """
    with contextlib.suppress(GoldsmithError):
        session.guest.run(["sync"], timeout=SYNC_SECONDS)
    session.guest.disconnect()
    session.machine.quit()
    target = context.run.kept
    spec = session.machine.spec
    workspace = context.workspace
    moved = workspace.keep_to(target, {spec.disk.top.path.name, spec.directory.name})
    for layer in spec.disk.layers:
        if layer.path.parent == workspace.path and layer.path not in moved:
            moved[layer.path] = target / layer.path.name
            link_or_copy(layer.path, moved[layer.path])
    KeptMachine.of(spec, session.access, moved).save(target)
    return target


def open_shell(session: Session) -> None:
    """An interactive shell in the running guest, by the machine's own ssh program."""
    ssh_shell(session.machine.ssh_port, session.access, session.machine.spec.directory)


def ssh_shell(port: int, access: BuildAccess, directory: Path) -> int:
    """Run ssh at the terminal until it ends; the key and the host key lie in `directory` meanwhile.

    Returns ssh's exit code. Raises EnvironmentProblem when no ssh client is installed.
    """
    ssh = process.require("ssh", "openssh-client")
    key = directory / "ssh.key"
    hosts = directory / "known_hosts"
    access.save_client_key(key)
    hosts.write_text(f"[127.0.0.1]:{port} {access.host_key.public}\n")
    argv = [ssh, "-p", str(port), "-i", str(key), "-o", f"UserKnownHostsFile={hosts}"]
    argv += ["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", f"{access.user}@127.0.0.1"]
    try:
        return process.interactive(argv)
    finally:
        key.unlink(missing_ok=True)
