"""ISO: a system installed from its own medium, once; the disk is a base like any other afterwards.

AIB downloads an ISO when the template is submitted. Here `resolve` reads one that is on this machine, so
that a wrong one is told before anything boots; one behind a URL comes with `prepare`, whose sha256 the
template gives anyway. A base that is there needs its ISO no more.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import BuildError, PreflightError
from builder.installer import kickstart, preseed
from builder.installer.installation import HAS_CLOUD_INIT, Installation, Installed, Wanted
from builder.installer.iso_files import MediumError
from builder.installer.media import Medium, Release, parse_variant, read_medium, take_out
from builder.services import Services
from builder.sources.base import ResolvedSource, SourceDisk
from builder.sources.bases import BaseCache, BaseMeta, MadeDisk
from builder.sources.entry import Entry
from builder.sources.iso_file import IsoFile
from builder.sources.scratch import remove_tree
from builder.vm.access import BUILD_USER, BuildAccess
from templates.durations import parse_duration
from templates.model.source import IsoSource as IsoModel

if TYPE_CHECKING:
    from builder.installer.answers import Registration

EPOCH = 1
"""Raised whenever the same template gives another disk."""
GIB = 1024**3
_CPUS = 2
_FIRST_FROM_CDN = 8
_MOST_KICKSTART = 1024 * 1024


class IsoSource:
    """Starts from an installation medium."""

    def __init__(self, model: IsoModel, services: Services) -> None:
        self._model = model
        self._wishes = model.extensions
        self._services = services
        self._cache = BaseCache(services.home.bases)
        self._file = IsoFile(model.source_uri, model.sha256_checksum, services)
        self._resolved: ResolvedSource | None = None
        self._registration: Registration | None = None
        self._checked: Release | None = None

    def resolve(self) -> ResolvedSource:
        """Find the base, or check what it will be made from. Raises PreflightError, NotFoundError."""
        if self._resolved is None:
            meta = self._found()
            self._resolved = self._cached(meta) if meta is not None else self._to_install()
        return self._resolved

    def prepare(self) -> SourceDisk:
        """Install, or open what was installed. Raises BuildError, DownloadError, BuildTimeoutError."""
        resolved, services = self.resolve(), self._services
        if self._found() is None:
            remove_tree(self._cache.folder(self._key))  # one that nobody could enter is none
        disk = self._cache.make(
            self._key,
            resolved.identity,
            resolved.description,
            self._make,
            deadline=services.deadline,
            bus=services.bus,
        )
        entry = Entry.load(self._cache.folder(self._key))
        if entry is None:
            raise BuildError(
                f"How {resolved.description} is entered is not known any more.",
                hint=f"Remove {self._cache.folder(self._key)} and build again: it is installed anew.",
            )
        for warning in entry.warnings:
            services.bus.warn(f"{resolved.description}: {warning}.", code="Installed")
        return SourceDisk(disk.graph, disk.size, entry.access, entry.seeded)

    # -- what it is -----------------------------------------------------------------------------------

    @cached_property
    def _key(self) -> str:
        """Names how the base is made. Of the subscription only that there is one."""
        wishes = self._wishes
        spec = [
            EPOCH,
            self._model.sha256_checksum,
            [kickstart.digest(), preseed.digest()] if self._own is None else self._own,
            wishes.os_variant,
            wishes.packages,
            wishes.repositories,
            wishes.subscription is not None,
            wishes.generation,
            wishes.disk_size_gb,
        ]
        return hashlib.sha256(json.dumps(spec).encode()).hexdigest()

    @cached_property
    def _own(self) -> str | None:
        """The user's own kickstart. Raises NotFoundError, DownloadError, KickstartError."""
        if self._wishes.kickstart_inline is not None:
            return "\n".join(self._wishes.kickstart_inline) + "\n"
        if self._wishes.kickstart is None:
            return None
        from builder.download.network import Network
        from builder.download.reading import read_uri

        services = self._services
        data = read_uri(
            self._wishes.kickstart,
            services.base_dir,
            services.deadline,
            _MOST_KICKSTART,
            network=Network.of(services.settings),
        )
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise kickstart.KickstartError(f"{self._where} is not UTF-8 text.") from None

    @property
    def _where(self) -> str:
        return self._wishes.kickstart or "kickstartInline"

    def _found(self) -> BaseMeta | None:
        meta = self._cache.find(self._key)
        known = meta is not None and Entry.load(self._cache.folder(self._key)) is not None
        return meta if known else None

    def _cached(self, meta: BaseMeta) -> ResolvedSource:
        entry = Entry.load(self._cache.folder(self._key))
        return ResolvedSource(
            identity=meta.identity,
            description=meta.description,
            os_type="Linux",
            generation=self._wishes.generation,
            exact_version=entry.version if entry else "",
            size=meta.size,
            cached=True,
            seeded=entry is None or entry.seeded,
            origin=self._lineage(entry.version if entry else "", meta.identity),
        )

    def _to_install(self) -> ResolvedSource:
        medium = self._medium_here()
        release = medium.release if medium else self._said_release()
        if release is not None:
            self._check(release, medium)
        self._fetch_subscription()
        name = release.name if release else f"the system on {self._file.name}"
        read_only = self._services.read_only
        draw = self._cache.known_identity if read_only else self._cache.next_identity
        identity = draw(self._key)
        come = "" if self._file.here() else f", downloaded from {self._file.shown}"
        return ResolvedSource(
            identity=identity,
            description=f"{name} ({self._file.name})",
            os_type="Linux",
            generation=self._wishes.generation,
            exact_version=release.version if release else f"sha256:{self._model.sha256_checksum[:12]}",
            size=self._wishes.disk_size_gb * GIB,
            means=f"installed by the installer on {self._file.name}{come}, once",
            origin=self._lineage(release.version if release else "", identity),
        )

    def _lineage(self, version: str, base: str) -> dict[str, str]:
        """`digest` is the medium's, `base` names the disk that its installer made."""
        own = {"kickstart": hashlib.sha256(self._own.encode()).hexdigest()} if self._own is not None else {}
        return {
            "type": self._model.type,
            "uri": self._file.kept_name,
            "version": version,
            "digest": self._model.sha256_checksum.lower(),
            "base": base,
            **own,
        }

    def _medium_here(self) -> Medium | None:
        path = self._file.here()
        if path is None:
            return None
        self._file.verify(path)
        return read_medium(path, self._wishes.os_variant)

    def _said_release(self) -> Release | None:
        return parse_variant(self._wishes.os_variant) if self._wishes.os_variant else None

    def _fetch_subscription(self) -> None:
        """Raises SecretError. A plan runs no command for it."""
        from builder.installer.answers import Registration
        from builder.secrets import fetch_hidden

        wanted = self._wishes.subscription
        if wanted is None:
            return
        if self._services.read_only and (wanted.organization.command or wanted.activation_key.command):
            self._services.bus.note("The subscription's command is only run by a build.")
            return
        self._registration = Registration(
            fetch_hidden(wanted.organization, "subscription: the organization", self._services),
            fetch_hidden(wanted.activation_key, "subscription: the activation key", self._services),
        )

    # -- how it is installed --------------------------------------------------------------------------

    def _check(self, release: Release, medium: Medium | None) -> None:
        """Everything that can be told without booting. Raises KickstartError, PreflightError."""
        if release == self._checked:
            return
        self._checked = release
        if release.family == "debian":
            self._check_debian(release)
        elif self._own is None:
            self._kickstart(release, has_packages=medium is None or medium.has_packages)
        else:
            for remark in kickstart.check_own(self._own, release, self._where).remarks:
                self._services.bus.warn(remark, code="Kickstart")

    def _check_debian(self, release: Release) -> None:
        if self._own is not None or self._wishes.subscription is not None:
            raise PreflightError(
                f"{release.name} is installed by a preseed: it takes neither a kickstart nor a subscription.",
                hint="Leave x-goldsmith.kickstart and subscription out.",
            )

    def _kickstart(self, release: Release, *, has_packages: bool) -> str:
        if self._own is not None:
            return self._own
        origin = self._origin(release, has_packages=has_packages)
        return kickstart.render(release, self._wanted(None), origin)

    def _origin(self, release: Release, *, has_packages: bool) -> kickstart.Origin:
        wishes = self._wishes
        repositories = tuple(wishes.repositories)
        subscribed = wishes.subscription is not None
        if subscribed and release.distribution != "rhel":
            raise PreflightError(
                f"{release.name} knows no subscription of Red Hat's.",
                hint="Leave x-goldsmith.subscription out.",
            )
        if has_packages or repositories:
            source = "cdrom" if has_packages else repositories[0]
            more = repositories if has_packages else repositories[1:]
            return kickstart.Origin(source, more, "post" if subscribed else "no")
        if subscribed and release.major >= _FIRST_FROM_CDN:
            return kickstart.Origin("cdn", (), "rhsm")
        raise MediumError(
            f"{self._file.name} only boots: there are no packages on it to install.",
            hint="Take the DVD; or name a repository in x-goldsmith.repositories (for RHEL 8 and later a "
            "subscription does as well).",
        )

    def _wanted(self, access: BuildAccess | None) -> Wanted:
        return Wanted(
            generation=self._wishes.generation,
            user=BUILD_USER,
            public_key=access.client_key.public if access else "",
            host_private_key=access.host_key.private if access else "",
            host_public_key=access.host_key.public if access else "",
            packages=tuple(self._wishes.packages),
        )

    def _make(self, folder: Path) -> MadeDisk:
        """Install into `folder`, and leave there the disk and how to enter it."""
        medium = read_medium(self._file.bring(), self._wishes.os_variant)
        self._check(medium.release, medium)
        work, disk, size = folder / "work", folder / "disk.raw", self._wishes.disk_size_gb * GIB
        work.mkdir()
        try:
            kernel, initrd = work / "kernel", work / "initrd"
            take_out(medium, kernel, initrd)
            access = BuildAccess.generate()
            for secret in access.secrets():
                self._services.redactor.add(secret)
            installed = self._install(medium, access, work, disk)
        finally:
            remove_tree(work)
        self._entry(medium, access, installed).save(folder)
        return MadeDisk(disk, "raw", size)

    def _entry(self, medium: Medium, access: BuildAccess, installed: Installed) -> Entry:
        if self._own is None:
            seeded, enters = HAS_CLOUD_INIT in installed.has, True
        else:  # without our markers the kickstart itself has to tell
            own = kickstart.check_own(self._own, medium.release, self._where)
            seeded, enters = own.has_cloud_init, own.lets_us_in
        return Entry(access if enters else None, seeded, medium.release.version, installed.warnings)

    def _install(self, medium: Medium, access: BuildAccess, work: Path, disk: Path) -> Installed:
        from builder.installer.answers import answers, boot_arguments

        release = medium.release
        if release.family == "debian":
            return self._install_debian(medium, access, work, disk)
        text = self._kickstart(release, has_packages=medium.has_packages)
        needs_network = not medium.has_packages or bool(self._wishes.repositories)
        arguments = boot_arguments(medium.label, release.major, needs_network=needs_network)
        with answers(work / "answers.iso", text, access, self._registration) as iso:
            return self._boot(medium, work, disk, arguments, iso)

    def _install_debian(self, medium: Medium, access: BuildAccess, work: Path, disk: Path) -> Installed:
        text = preseed.render(medium.release.version, self._wanted(access), self._services)
        preseed.add_to(work / "initrd", text)
        return self._boot(medium, work, disk, preseed.COMMAND_LINE, None)

    def _boot(
        self, medium: Medium, work: Path, disk: Path, arguments: str, answers: Path | None
    ) -> Installed:
        installation = Installation(
            name=medium.release.name,
            family=medium.release.family,
            os_variant=medium.release.variant,
            kernel=work / "kernel",
            initrd=work / "initrd",
            command_line=arguments,
            medium=medium.path,
            answers=answers,
            generation=self._wishes.generation,
            disk_size=self._wishes.disk_size_gb * GIB,
            memory_mib=self._wishes.memory_mib,
            cpus=_CPUS,
            time_limit=parse_duration(self._wishes.timeout),
            marked=self._own is None,
        )
        from builder.installer.install import install

        return install(installation, disk, work, self._services)
