"""The registry as a whole. Importing it costs SQLAlchemy; `Services.registry` does so on first use."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from builder.registry.audit import Audit
from builder.registry.channels import Channels
from builder.registry.definitions import Definitions
from builder.registry.errors import RegistryError
from builder.registry.galleries import Galleries
from builder.registry.images import Images
from builder.registry.latest import Latest
from builder.registry.limits import Limits
from builder.registry.lineage import Lineage
from builder.registry.orphans import Orphans
from builder.registry.permissions import guarded
from builder.registry.publishing import Publishing
from builder.registry.records import Delivery
from builder.registry.replicas import Replicas
from builder.registry.roles import Roles
from builder.registry.schedules import Schedules
from builder.registry.versions import Versions
from builder.settings import Home, Settings

__all__ = ["Delivery", "Registry", "RegistryError"]


@guarded
class Registry(
    Galleries,
    Definitions,
    Versions,
    Replicas,
    Latest,
    Publishing,
    Channels,
    Lineage,
    Images,
    Schedules,
    Orphans,
    Roles,
    Audit,
):
    """`Registry(home)`: everything that was built and where it is.

    Every method is one transaction and hands out frozen records; several processes may use it at
    once. Raises RegistryError when the file cannot be used or a newer Goldsmith wrote it.

    Each asks first whether the caller may (`permissions.py`); the caller is who this process runs as, or who
    logged in to the database. Raises AuthorizationError.

    With `snapshot` it is a copy in memory, taken when it is first used: what is made, numbered or
    deleted in it follows all the rules and is gone when the process ends. Never remove a file by it.
    """

    @classmethod
    def of(cls, home: Home, settings: Settings, *, snapshot: bool = False) -> Self:
        """The registry that `settings` name: the one of `home`, or the team's at `registry_url`."""
        url = settings.registry_url.get_secret_value() if settings.registry_url else None
        folders = [Path(place.url) for place in settings.regions.values() if place.is_local]
        return cls(
            home,
            url=url,
            snapshot=snapshot,
            limits=Limits.of(settings),
            claim=settings.caller or "",
            folders=folders,
        )
