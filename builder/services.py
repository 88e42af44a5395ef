"""What the rooms of the engine share during one command."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from builder.deadline import Deadline
from builder.errors import GoldsmithError
from builder.events import EventBus
from builder.redact import Redactor
from builder.settings import Home, Settings

if TYPE_CHECKING:
    from builder.registry.store import Registry
    from builder.replication.place import Places


@dataclass(frozen=True)
class Services:
    """Handed to sources, distributors and stages. `base_dir` is the template's folder: relative
    paths in a template start there. `output_dir` is where a VHD without `uri` goes. `run_id` names
    the build under way, empty in other verbs. `read_only`: somebody only asks what a build would do;
    nothing in the home is written then, and what is reserved is reserved in a copy of the registry.
    `keep_unfinished`: what a failed upload left stays, to be continued (--on-error keep).
    `wait_for_replicas` False: a version is out when it is in its own region, the others follow.
    """

    home: Home
    settings: Settings
    bus: EventBus
    redactor: Redactor
    deadline: Deadline
    base_dir: Path
    output_dir: Path
    run_id: str = ""
    read_only: bool = False
    keep_unfinished: bool = False
    wait_for_replicas: bool = True
    fetched: dict[str, bytes | GoldsmithError] = field(default_factory=dict, repr=False, compare=False)
    """What was read of the addresses in a template, or why not. Copies share it: nothing is read twice."""

    @classmethod
    def of(
        cls,
        home: Home,
        settings: Settings,
        deadline: Deadline,
        *,
        redactor: Redactor | None = None,
        base_dir: Path | None = None,
        output_dir: Path | None = None,
        run_id: str = "",
        read_only: bool = False,
        keep_unfinished: bool = False,
    ) -> Services:
        """With a bus of their own. Where nothing else is said, there are no secrets yet and both folders are
        the current one. Those of a template's build: `jobs.services_of`.
        """
        redactor = Redactor() if redactor is None else redactor
        return cls(
            home=home,
            settings=settings,
            bus=EventBus(redactor),
            redactor=redactor,
            deadline=deadline,
            base_dir=Path.cwd() if base_dir is None else base_dir.absolute(),
            output_dir=Path.cwd() if output_dir is None else output_dir.absolute(),
            run_id=run_id,
            read_only=read_only,
            keep_unfinished=keep_unfinished,
        )

    @cached_property
    def places(self) -> Places:
        """Where the replicas of regions lie."""
        from builder.replication.place import Places

        return Places(self.home, self.settings)

    @cached_property
    def registry(self) -> Registry:
        """The local registry, opened on first use (importing SQLAlchemy costs half a second)."""
        from builder.registry.store import Registry

        return Registry.of(self.home, self.settings, snapshot=self.read_only)
