"""The guest under construction: the machine it lives in now, and the moments it can go back to.

After its first boot and after every customizer its disk (and its memory) are frozen into a layer, and the
guest goes on on top of it. A later build goes on from the highest layer that is of use to it; a step
that is tried again starts from the one before it.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk import qemu_img
from builder.errors import BuildError, BuildTimeoutError, CancelledError, EnvironmentProblem
from builder.events import Wait
from builder.layers.layer import ACCESS, GROW, SEED, Layer
from builder.layers.route import Link
from builder.layers.soundness import memory_is_sound
from builder.phases import phase
from builder.stages import generalize, source
from builder.stages.freezer import Entry, Freezer, Frozen
from builder.stages.session import RestoreError, Session, Start, boot
from builder.vm.access import BuildAccess
from provisioners import care
from provisioners.guest import GuestError
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from builder.disk.graph import BlockGraph
    from builder.sources.base import SourceDisk
    from builder.stages.context import BuildContext, PreparedStep


class Workpiece:
    """Context manager; `session` is the machine to work in, which changes when it goes back.

    `size` is the disk the template asks for, in bytes. Raises what `boot` raises.
    """

    def __init__(self, context: BuildContext, disk: SourceDisk, size: int) -> None:
        self._context = context
        self._source = disk
        self._size = size
        self._machine = ExitStack()
        self._disk_size = size
        self._files = 0
        self._session: Session | None = None
        self._entry: Entry | None = None
        self._frozen: Frozen | None = None
        self._tainted = False
        self._no_more_layers = False
        self._freezer = Freezer(context)
        self.steps_done = 0
        """How many customizers are in it already."""

    def __enter__(self) -> Workpiece:
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._machine.close()
        finally:
            self._freezer.close()

    @property
    def session(self) -> Session:
        """The machine and the guest as they are now."""
        assert self._session is not None  # noqa: S101 - entered
        return self._session

    @property
    def frozen_times(self) -> tuple[float, ...]:
        """When each layer below this moment was made, as far as they were."""
        return self._frozen.times if self._frozen else ()

    def step_begins(self, prepared: PreparedStep) -> None:
        """From here on the guest's memory may hold the step's secrets."""
        self._tainted = self._tainted or bool(prepared.secrets)

    def step_done(self, step: int, prepared: PreparedStep) -> None:
        """Customizer `step` (from 1) succeeded: freeze what it left."""
        self.steps_done = step
        number = self._context.route.of_step(step)
        if number < 0 or self._no_more_layers:
            return
        try:
            if getattr(prepared.model, "type", "") == "x-LinuxRestart":
                self._calm("Customize", step)
            self._freeze(number, self._context.route.links[number])
        except GuestError as error:
            # The step itself succeeded: what it did to the guest is its own affair.
            self._no_more_layers, self._frozen = True, None
            self._context.bus.warn(f"No layers from here on: {error.message}", code="LayerNotKept")

    def go_back(self) -> bool:
        """Throw away what happened since the last layer. False when there is none to go back to."""
        frozen = self._frozen
        if frozen is None or (frozen.memory is None and frozen.volatile):
            return False
        self._leave()
        self._enter_frozen(frozen)
        return True

    def _begin(self) -> None:
        context = self._context
        layers = context.cache.layers.chain([link.id for link in context.route.links[: context.route.used]])
        while layers:
            try:
                if self._go_on_from(layers):
                    return
            except (BuildTimeoutError, CancelledError, EnvironmentProblem):
                raise  # none of the layer's doing
            except GoldsmithError as error:
                if context.deadline.expired:
                    raise
                self._leave()
                self._say(layers[-1], f"cannot be used ({error.message}); going back to the one before it")
                context.cache.layers.drop(layers[-1])
            layers = layers[:-1]
        self._first_boot()

    def _go_on_from(self, layers: tuple[Layer, ...]) -> bool:
        """Start from the top of `layers`. False when it went meanwhile, or only a memory that does not
        fit would bring it back.
        """
        context, top = self._context, layers[-1]
        why = top.why_not(context.machine_key)
        if why:
            self._say(top, f"is of no use: {why}")
            return False
        mine = self._borrowed(layers)
        if mine is None:
            return False
        self._entry = Entry(BuildAccess.load(mine[0].folder / ACCESS), mine[0].folder / SEED)
        graph = self._source.graph
        for layer in mine:
            graph = graph.over(layer.disk.path)
        top = mine[-1]
        fits = top.restorable(context.machine_key)
        if fits and not memory_is_sound(top):
            context.cache.layers.drop_memory(layers[-1])
            self._say(top, "has a memory snapshot that is not what was written; booting its disk")
            if top.meta.volatile:
                return False
            fits = False
        self._frozen = Frozen(
            graph,
            top.meta.virtual_size,
            top.memory if fits else None,
            top.uefi_vars,
            top.meta.sessions,
            top.meta.volatile,
            top.meta.instance,
            top.meta.frozen,
        )
        self._enter_frozen(self._frozen, layers[-1])
        self.steps_done = context.route.links[len(layers) - 1].step
        context.cache.layers.used(layers)
        if len(layers) == 1:
            self._grow_if_asked()
        return True

    def _borrowed(self, layers: tuple[Layer, ...]) -> list[Layer] | None:
        mine = []
        for layer in layers:
            own = self._context.cache.layers.borrow(layer, self._new_file("below"))
            if own is None:
                return None
            mine.append(own)
        return mine

    def _enter_frozen(self, frozen: Frozen, stored: Layer | None = None) -> None:
        """Restore the memory of that moment; where that fails, or there is none, boot its disk."""
        assert self._entry is not None  # noqa: S101 - there is no layer without a warm base
        start = Start(
            self._overlay(frozen.graph, frozen.size),
            self._entry.access,
            self._entry.seed,
            frozen.uefi_vars,
            frozen.memory,
            frozen.sessions,
        )
        if frozen.memory is not None:
            try:
                self._enter(start)
                return
            except RestoreError as error:
                self._leave()
                what = "The memory snapshot could not be restored"
                self._context.bus.warn(f"{what}: {error.message} Booting the disk.", code="RestoreFailed")
                if stored is not None:
                    self._context.cache.layers.drop_memory(stored)
                if frozen.volatile:
                    raise BuildError(f"only its memory holds {', '.join(frozen.volatile)}") from error
        self._boot(Start(self._overlay(frozen.graph, frozen.size), start.access, start.seed, start.uefi_vars))

    def _first_boot(self) -> None:
        context = self._context
        self._frozen = None
        self.steps_done = 0
        links = context.route.links
        # Without layers the disk has its size from the start, and the seed's growth does the rest.
        size = self._source.size if links else self._size
        self._boot(
            Start(
                self._overlay(self._source.graph, size),
                self._source.access,
                data_disks=source.attached(context, self._source),
            )
        )
        session = self.session
        seed = session.machine.spec.seed
        assert seed is not None  # noqa: S101 - every machine of a build has one
        self._entry = Entry(session.access, seed)
        if links:
            self._freeze(0, links[0])
            self._grow_if_asked()

    def _boot(self, start: Start) -> None:
        self._tainted = False
        self._enter(start)
        if self._context.source.os_type == "Linux":
            self._calm("Boot")
        generalize.place_default_script(self.session)

    def _calm(self, stage: str, index: int = 0) -> None:
        bus = self._context.bus
        with (
            phase(bus, "Settle", where="guest", stage=stage, index=index),
            Wait(bus, "Waiting for the guest's services to have started"),
        ):
            care.calm(self.session.guest)

    def _grow_if_asked(self) -> None:
        links = self._context.route.links
        if len(links) < 2 or links[1].kind != GROW:
            return
        self.session.machine.resize_disk(self._size)
        self._disk_size = self._size
        with phase(self._context.bus, "Grow", where="guest", stage="Boot"):
            problem = care.grow(self.session.guest)
        if problem:
            self._context.bus.warn(
                f"The disk has {self._size / 1024**3:g} GiB, its root file system was not grown: {problem}",
                code="NotGrown",
            )
        self._freeze(1, links[1])

    def _freeze(self, number: int, link: Link) -> None:
        """Make the layer of `links[number]`, when it can be of use to this build or a later one."""
        store = self._freezer.stores and self._context.route.storable(number)
        if not store and not self._may_go_back(number):
            return
        stage = "Customize" if link.step else "Boot"
        with phase(self._context.bus, "Snapshot", where="engine", stage=stage, index=link.step):
            self._frozen = self._freezer.freeze(
                self.session,
                link,
                self._frozen,
                size=self._disk_size,
                memory=not self._tainted,
                store=store,
                entry=self._entry,
            )

    def _may_go_back(self, number: int) -> bool:
        """Whether the next customizer may be tried again in this build."""
        links = self._context.route.links
        if number + 1 >= len(links):
            return False
        following = self._context.customizers[max(0, links[number + 1].step - 1)]
        return self._context.on_error == "ask" or following.model.extensions.retry > 0

    def _overlay(self, below: BlockGraph, size: int) -> BlockGraph:
        path = self._new_file("os", ".qcow2")
        qemu_img.create_overlay(path, size)
        self._disk_size = size
        return below.over(path)

    def _new_file(self, name: str, ending: str = "") -> Path:
        self._files += 1
        return self._context.workspace.file(f"{name}-{self._files}{ending}")

    def _enter(self, start: Start) -> None:
        self._session = self._machine.enter_context(boot(self._context, start, purpose="build"))

    def _leave(self) -> None:
        self._machine.close()
        self._machine = ExitStack()
        self._session = None

    def _say(self, layer: Layer, what: str) -> None:
        self._context.bus.warn(f"The layer '{layer.meta.name}' {what}.", code="LayerUnusable")


@dataclass
class Fixed:
    """A guest that is only looked at: it has no layers."""

    session: Session
    steps_done: int = 0

    def step_begins(self, prepared: PreparedStep) -> None:
        """Nothing is frozen."""

    def step_done(self, step: int, prepared: PreparedStep) -> None:
        """Nothing is frozen."""

    def go_back(self) -> bool:
        """There is nothing to go back to."""
        return False
