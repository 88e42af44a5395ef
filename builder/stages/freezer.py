"""Freezing the guest into layers, and storing them beside the work that goes on."""

from __future__ import annotations

import shutil
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk import qemu_img
from builder.disk.extents import link_or_copy
from builder.layers.cache import KEEP_FREE
from builder.layers.layer import ACCESS, BOOT, DISK, MEMORY, SEED, VARS, Layer, LayerMeta, Memory
from builder.layers.packing import pack_one
from builder.layers.soundness import checksum
from builder.owner import host_boot_id
from builder.vm import snapshot
from provisioners import care

if TYPE_CHECKING:
    from builder.disk.graph import BlockGraph
    from builder.layers.route import Link
    from builder.stages.context import BuildContext
    from builder.stages.session import Session
    from builder.vm.access import BuildAccess

STORE_SECONDS = 300.0
"""How long the end of a build waits for layers that are still being written."""
MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Entry:
    """How to enter the guest; the same for all layers over one warm base."""

    access: BuildAccess
    seed: Path


@dataclass(frozen=True, slots=True)
class Frozen:
    """A moment that can be gone back to: the disk below, `size` bytes as the guest sees it, the memory."""

    graph: BlockGraph
    size: int
    memory: Path | None
    uefi_vars: Path | None
    sessions: tuple[int, ...]
    volatile: tuple[str, ...]
    instance: str
    times: tuple[float, ...]


class Freezer:
    """Makes layers of a session. One thread brings them to the disk while the guest works on."""

    def __init__(self, context: BuildContext) -> None:
        self._context = context
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="layers")
        self._pending: list[Future[None]] = []
        self._began = time.time()
        self._number = 0
        self._complained = False
        self.stores = bool(context.route.links) and context.cache.budget > 0

    def close(self) -> None:
        """Wait until everything is stored. What a full disk refused was told; anything else is our bug."""
        end = time.monotonic() + STORE_SECONDS
        try:
            with suppress(TimeoutError):
                for future in self._pending:
                    future.result(timeout=max(0.1, end - time.monotonic()))
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def freeze(
        self,
        session: Session,
        link: Link,
        below: Frozen | None,
        *,
        size: int,
        memory: bool,
        store: bool,
        entry: Entry | None,
    ) -> Frozen:
        """Freeze the guest, whose disk has `size` bytes; it goes on in the same machine.

        Raises MachineError, GuestError.
        """
        workspace = self._context.workspace
        number, self._number = self._number, self._number + 1
        settled = care.settle(session.guest)
        graph = session.disk
        overlay = workspace.file(f"over-{number}.qcow2")
        qemu_img.create_overlay(overlay, size)
        memory_file = workspace.file(f"memory-{number}") if memory and self._memory_fits(session) else None
        uefi_vars = workspace.file(f"vars-{number}.fd") if session.machine.spec.generation == "V2" else None
        written = snapshot.freeze(
            session.machine,
            overlay,
            memory=memory_file,
            uefi_vars=uefi_vars,
            timeout=self._context.deadline.remaining(snapshot.MEMORY_SECONDS),
        )
        if memory_file is not None and not written:
            self._context.bus.warn(
                f"The memory after '{link.name}' could not be written; only its disk is kept.",
                code="NoMemory",
            )
        frozen = Frozen(
            graph,
            size,
            memory_file if written else None,
            uefi_vars,
            settled.sessions,
            settled.volatile,
            uuid.uuid4().hex,
            (*(below.times if below else ()), time.time()),
        )
        if store:
            self._store(self._draft(frozen, link, below, entry))
        self._forget(below)
        return frozen

    def _memory_fits(self, session: Session) -> bool:
        """Whether there is room for a snapshot of all its memory; most guests fill a part of it only."""
        context = self._context
        if not context.services.settings.memory_snapshots:
            return False
        free = shutil.disk_usage(context.workspace.path).free
        fits = free > KEEP_FREE + session.machine.spec.memory_mib * MIB
        if not fits and not self._complained:
            self._complained = True
            context.bus.note(
                f"Only {free / 1024**3:.1f} GiB are free: layers are kept without memory snapshots.",
                code="NoMemory",
            )
        return fits

    def _draft(self, frozen: Frozen, link: Link, below: Frozen | None, entry: Entry | None) -> Layer:
        """A layer's folder, complete but for being on the disk, in the workspace."""
        context = self._context
        folder = context.workspace.new_directory("layer")
        link_or_copy(frozen.graph.top.path, folder / DISK)
        memory = None
        if frozen.memory is not None:
            link_or_copy(frozen.memory, folder / MEMORY)
            memory = Memory(context.machine_key, frozen.memory.stat().st_size)
        if frozen.uefi_vars is not None:
            link_or_copy(frozen.uefi_vars, folder / VARS)
        if link.kind == BOOT and entry is not None:
            link_or_copy(entry.seed, folder / SEED)
            entry.access.save(folder / ACCESS)
        meta = LayerMeta(
            id=link.id,
            instance=frozen.instance,
            parent=below.instance if below else "",
            kind=link.kind,
            name=context.services.redactor.scrub(link.name),
            template=context.template.name,
            source=context.source.identity,
            inputs=link.inputs,
            frozen=frozen.times,
            virtual_size=frozen.size,
            disk_size=(folder / DISK).stat().st_size,
            memory=memory,
            volatile=frozen.volatile,
            sessions=frozen.sessions,
        )
        return Layer(folder, meta)

    def _store(self, draft: Layer) -> None:
        self._pending.append(self._pool.submit(self._put_away, draft))

    def _put_away(self, draft: Layer) -> None:
        cache = self._context.cache
        try:
            memory = draft.meta.memory
            if memory is not None:
                known = replace(memory, checksum=checksum(draft.memory), host_boot=host_boot_id())
                draft = Layer(draft.folder, replace(draft.meta, memory=known))
            draft.meta.save(draft.folder)
            there = cache.layers.find(draft.meta.id)
            # One that another build made while we ran is as good; what lies on it may be in use.
            newer = there is not None and there.meta.created > self._began
            if cache.layers.add(draft, replace=not newer):
                with suppress(OSError):  # it stays plain
                    pack_one(cache.layers, (draft.meta.instance, draft.meta.parent))
                cache.trim()
        except OSError as error:
            self._context.bus.warn(
                f"The layer '{draft.meta.name}' was not kept: {error.strerror or error}.", code="LayerNotKept"
            )

    def _forget(self, below: Frozen | None) -> None:
        """The memory of the moment before is of no use to this build any more; a stored one has a name
        of its own.
        """
        if (
            below is not None
            and below.memory is not None
            and below.memory.parent == self._context.workspace.path
        ):
            below.memory.unlink(missing_ok=True)
