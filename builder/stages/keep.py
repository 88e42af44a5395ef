"""Keeping a machine after a failure, and the shell into a running one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from builder import process
from builder.disk import qemu_img
from builder.disk.extents import link_or_copy
from builder.vm import snapshot
from builder.vm.kept import KeptMachine, KeptMemory
from provisioners import care
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from pathlib import Path

    from builder.stages.context import BuildContext
    from builder.stages.session import Session
    from builder.vm.access import BuildAccess

SYNC_SECONDS = 30


def keep(context: BuildContext, session: Session) -> Path:
    """End the machine and move its disk, memory, seed and keys to `runs/<id>/kept`. Returns that directory.

    What lies below its disk in the workspace (layers; the finished VHD, under a validation) is linked, not
    moved: it may yet be used.
    """
    memory = _freeze(context, session)
    session.guest.disconnect()
    session.machine.quit()
    target = context.run.kept
    spec = session.machine.spec
    workspace = context.workspace
    graphs = (spec.disk, *(one.graph for one in spec.data_disks))
    names = {spec.directory.name, *(graph.top.path.name for graph in graphs)}
    moved = workspace.keep_to(target, names | ({memory.file.name} if memory else set()))
    for layer in [layer for graph in graphs for layer in graph.layers]:
        if workspace.path in layer.path.parents and layer.path not in moved:
            moved[layer.path] = target / "-".join(layer.path.relative_to(workspace.path).parts)
            link_or_copy(layer.path, moved[layer.path])
    KeptMachine.of(spec, session.access, moved, memory).save(target)
    return target


def _freeze(context: BuildContext, session: Session) -> KeptMemory | None:
    """The guest as it is, processes and all; None when there is no room, or a secret may be in it."""
    guest = session.guest
    # A memory belongs to disks of the same moment, and only the OS disk could be frozen at it.
    unfit = guest.os_type != "Linux" or session.machine.spec.data_disks
    if unfit or any(step.secrets for step in (*context.customizers, *context.validators)):
        with contextlib.suppress(GoldsmithError):
            guest.run(["sync"], timeout=SYNC_SECONDS)
        return None
    try:
        settled = care.settle(guest)
        overlay, file = context.workspace.file("kept.qcow2"), context.workspace.file("kept-memory")
        qemu_img.create_overlay(overlay, session.machine.disk_size)
        written = snapshot.freeze(
            session.machine, overlay, memory=file, uefi_vars=None, timeout=snapshot.MEMORY_SECONDS
        )
    except GoldsmithError:  # a guest that does not answer any more: its disk is kept all the same
        return None
    return KeptMemory(file, context.machine_key, settled.sessions) if written else None


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
    argv = [ssh, "-p", str(port), "-o", f"UserKnownHostsFile={hosts}", "-o", "IdentitiesOnly=yes"]
    if access.client_key.private:  # else ssh asks for the password
        access.save_client_key(key)
        argv += ["-i", str(key)]
    if access.declared:
        argv += ["-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR"]
    else:
        hosts.write_text(f"[127.0.0.1]:{port} {access.host_key.public}\n")
        argv += ["-o", "StrictHostKeyChecking=yes"]
    argv.append(f"{access.user}@127.0.0.1")
    try:
        return process.interactive(argv)
    finally:
        key.unlink(missing_ok=True)
