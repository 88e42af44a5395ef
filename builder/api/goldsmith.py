"""The registry of a home, for programs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from builder.api.access import Access
from builder.api.channels import Channels
from builder.api.definitions import Definitions
from builder.api.galleries import Galleries
from builder.api.images import Images
from builder.api.versions import Versions
from builder.deadline import Deadline
from builder.errors import UsageError
from builder.interchange.session import LIMIT_SECONDS
from builder.registry import lookup
from builder.registry.store import Registry
from builder.replication.place import Places
from builder.services import Services
from builder.settings import Home, Settings, load_settings

if TYPE_CHECKING:
    from builder.deploy import Deployed
    from builder.events import Sink
    from builder.registry.latest import Explanation
    from builder.registry.records import VersionRecord
    from builder.stale import Freshness
    from builder.usage.report import Report as UsageReport


class Goldsmith:
    """A registry, opened on first use. `home` is the folder of `$GOLDSMITH_HOME`, by default that one;
    `settings` those of its settings.toml. With `trial` everything happens in a copy in memory, and what
    would move disks is refused. `told` hears the events of long work (progress, warnings).
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        settings: Settings | None = None,
        trial: bool = False,
        told: Sink | None = None,
    ) -> None:
        self.home = Home(home)
        self.settings = settings or load_settings(self.home)
        self.registry = Registry.of(self.home, self.settings, snapshot=trial)
        """What the verbs stand on."""
        self.places = Places(self.home, self.settings)
        self._trial = trial
        self._told = told
        self.galleries = Galleries(self)
        self.definitions = Definitions(self)
        self.versions = Versions(self)
        self.images = Images(self)
        self.channels = Channels(self)
        self.access = Access(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database; a later call opens it again."""
        self.registry.close()

    def latest(self, definition: str, region: str | None = None) -> VersionRecord:
        """The latest version, as `region` sees it. Raises NotFoundError with Azure's messages."""
        identity = lookup.definition_id(self.registry, definition)
        return self.registry.find_version(f"{identity}/versions/latest", region)

    def explain(self, definition: str, region: str | None = None) -> Explanation:
        """Why each version is or is not the latest. Raises NotFoundError."""
        return self.registry.explain_latest(lookup.definition_id(self.registry, definition), region)

    def deploy(self, file: Path, parameters: Mapping[str, Any] | None = None) -> list[Deployed]:
        """Make the galleries and definitions that an ARM deployment declares; the second time all of them are
        unchanged. Raises TemplateError, UnreadableFile; then nothing is changed.
        """
        import templates
        from builder.deploy import deploy
        from templates.arm.scope import DeploymentScope

        settings = self.settings
        scope = DeploymentScope(settings.subscription_id, settings.resource_group, settings.location)
        document = templates.read(file, parameters=parameters, defaults=scope, buildable=False)
        trial = Registry.of(self.home, settings, snapshot=True)
        try:
            deploy(document, trial)
        finally:
            trial.close()
        return deploy(document, self.registry)

    def delete_nested(self, arm_id: str) -> tuple[str, ...]:
        """Delete a gallery or definition with all that is in it; the ids of what went.

        Raises NotFoundError, and what `Nested.delete` raises.
        """
        from builder.replication.nested import Nested

        return tuple(Nested(self.registry, self.places, arm_id).delete()[0])

    def stale(self, scope: str = "", *, every: bool = False) -> list[Freshness]:
        """Whether what was made (the newest version of each definition, with `every` all) has something newer
        to be made from; `scope` is the id of a gallery, definition, version or image. Raises NotFoundError.
        """
        from builder.stale import find_stale

        return find_stale(self._services("stale", read_only=True), scope, every=every)

    def usage(self, definition: str | None = None) -> UsageReport:
        """What Azure would bill of the versions of a definition, or of all, with the prices of prices.toml
        where there is one. Raises NotFoundError, UsageError for a wrong file.
        """
        from builder.usage.billing import usage_of
        from builder.usage.prices import load_prices
        from builder.usage.report import report

        definitions = [self.definitions.show(definition)] if definition else self.definitions.list()
        usages = [
            usage_of(version, one.label)
            for one in definitions
            for version in self.registry.list_versions(one.id)
            if version.state == "Succeeded"
        ]
        return report(usages, load_prices(self.home, self.settings))

    def services(self, what: str) -> Services:
        """What long work that moves disks needs; `what` begins the name of its run. Raises UsageError in a
        trial.
        """
        if self._trial:
            raise UsageError("A trial moves no disks.", hint="Leave trial=True out.")
        self.home.ensure()
        return self._services(what, read_only=False)

    def _services(self, what: str, *, read_only: bool) -> Services:
        run_id = f"{what}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        limit = Deadline(LIMIT_SECONDS, what=f"the limit of '{what}'")
        services = Services.of(self.home, self.settings, limit, run_id=run_id, read_only=read_only)
        if self._told is not None:
            services.bus.add_sink(self._told)
        return services
