"""PlatformImage: a marketplace image made, fetched or opened by its catalogue recipe."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import InUseError, NotFoundError, PreflightError
from builder.services import Services
from builder.sources.base import ResolvedSource, SourceDisk
from builder.sources.bases import BaseCache, MadeDisk
from builder.sources.catalogue import (
    BootstrapRecipe,
    CatalogueEntry,
    DownloadRecipe,
    FileRecipe,
    ProvideRecipe,
    Recipe,
    load_catalogue,
)
from builder.sources.catalogue.plans import check_plan, plan_of
from builder.sources.catalogue.words import means, what_to_provide
from builder.sources.distribution import distribution_of
from builder.sources.importing import import_disk, open_in_place, parts_of
from builder.sources.mirrors import Mirrors, find_mirrors
from templates.model.source import PlatformImageSource

if TYPE_CHECKING:
    from builder.download.cache import DownloadCache


class MarketplaceSource:
    """Starts from publisher/offer/sku/version of the catalogue."""

    def __init__(self, model: PlatformImageSource, services: Services) -> None:
        self._model = model
        self._services = services
        self._cache = BaseCache(services.home.bases)
        self._resolved: ResolvedSource | None = None

    def resolve(self) -> ResolvedSource:
        """Find the exact version and whether its base is here. Raises NotFoundError, PreflightError,
        PlanError.
        """
        if self._resolved is None:
            self._resolved = self._resolve()
        return self._resolved

    def prepare(self) -> SourceDisk:
        """Bootstrap, download or open the disk. Raises BuildError, EnvironmentProblem, DownloadError."""
        resolved = self.resolve()
        recipe = self._entry.recipe
        if isinstance(recipe, FileRecipe) and (opened := self._opened) is not None:
            return opened
        return self._made(resolved.identity, resolved.description, anew=False)

    def renew(self) -> bool:
        """Make the base anew if it is here, and say whether it was; when that fails the old one stays.

        Raises InUseError while somebody may use it, and as `prepare`.
        """
        from builder.gc import anybody_works, is_kept_on

        home = self._services.home
        if self._cache.read(self._key) is None:
            return False
        recipe = self._entry.recipe
        self._check_reachable(recipe)
        if anybody_works(home):
            raise InUseError(
                "A build or a shell is under way, and may use that disk.", hint="Try again when it has ended."
            )
        if is_kept_on(home, home.bases / self._key):
            raise InUseError(
                f"A kept machine of a failed build lies on {self._entry.urn}.",
                hint="'build gc' removes kept machines when their time is over (setting keep_for_days).",
            )
        identity = self._cache.next_identity(self._key) if _moves(recipe) else self._key
        self._made(identity, self._entry.urn, anew=True)
        return True

    def _made(self, identity: str, description: str, *, anew: bool) -> SourceDisk:
        recipe = self._entry.recipe
        if isinstance(recipe, DownloadRecipe) and recipe.note:
            self._services.bus.note(f"{self._entry.urn} comes {recipe.note}")
        return self._cache.make(
            self._key,
            identity,
            description,
            self._make,
            deadline=self._services.deadline,
            bus=self._services.bus,
            anew=anew,
        )

    @cached_property
    def _entry(self) -> CatalogueEntry:
        model = self._model
        catalogue = load_catalogue(self._services.home)
        prefer = self._services.settings.source_recipe
        return catalogue.lookup(model.publisher, model.offer, model.sku, model.version, prefer=prefer)

    @cached_property
    def _mirrors(self) -> Mirrors:
        recipe = self._entry.recipe
        assert isinstance(recipe, BootstrapRecipe)  # noqa: S101 - only asked for by bootstraps
        return find_mirrors(distribution_of(recipe.distribution), recipe.suite, self._services.settings)

    @cached_property
    def _key(self) -> str:
        """Names how the base is made; recipes that give the same disk share it."""
        recipe = self._entry.recipe
        if isinstance(recipe, BootstrapRecipe):
            from builder.sources.bootstrap import EPOCH

            spec: object = [EPOCH, _made_of(recipe), self._mirrors.key]
        elif isinstance(recipe, DownloadRecipe):
            if recipe.sums is not None:
                # With what proved it: what was proved by less is not taken where more is asked.
                spec = ["published", recipe.url, recipe.sums.model_dump(mode="json"), recipe.format]
            else:
                spec = ["file", str(recipe.sha256).lower(), recipe.format]
        else:
            assert isinstance(recipe, FileRecipe)  # noqa: S101 - what is to be provided does not resolve
            spec = ["file", self._file_digest, recipe.format]
        return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _file_digest(self) -> str:
        recipe = self._entry.recipe
        assert isinstance(recipe, FileRecipe)  # noqa: S101 - only asked for by files
        self._check_there(recipe)
        parts = parts_of(recipe.path)
        if recipe.sha256:
            from builder.disk.formats import check_whole

            check_whole(recipe.path, parts)
            self._check_promise(recipe, recipe.sha256.lower())
        digests = [self._content_digest(path) for path in (recipe.path, *parts)]
        if len(digests) == 1:
            return digests[0]
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def _content_digest(self, path: Path) -> str:
        """Read once for as long as nobody touches the file."""
        from builder.disk.extents import content_digest
        from builder.disk.known_files import KnownFiles, settled

        known = KnownFiles(self._services.home.known_files)
        digest = known.digest(path)
        if not digest:
            digest = content_digest(path)
            if settled(path) and not self._services.read_only:
                known.note(path, digest)
        return digest

    def _check_promise(self, recipe: FileRecipe, promised: str) -> None:
        """Raise PreflightError for a file with another sha256. Read once for as long as nobody touches it."""
        from builder.disk.known_files import KnownFiles, settled

        home = self._services.home
        known = KnownFiles(home.known_sums)
        found = known.digest(recipe.path)
        if not found:
            with recipe.path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if settled(recipe.path) and not self._services.read_only:
                known.note(recipe.path, found)
        if found != promised:
            raise PreflightError(
                f"{recipe.path} is not the file that {self._entry.urn} promises.",
                details=(f"expected sha256 {promised}", f"found    sha256 {found}"),
                hint=f"Put the right file there, or note this one: build marketplace provide "
                f"{self._entry.urn} {recipe.path}",
            )

    def _resolve(self) -> ResolvedSource:
        entry = self._entry
        if entry.image.architecture != "x64":
            raise PreflightError(
                f"{entry.urn} is an {entry.image.architecture} image; only x64 can be built here.",
                hint="Choose the x64 image of the same publisher.",
            )
        check_plan(entry.image, self._model.plan_info)
        if isinstance(entry.recipe, ProvideRecipe):
            details, hint = what_to_provide(entry.recipe, entry.urn)
            raise NotFoundError(f"{entry.urn} is yours to bring.", details=details, hint=hint)
        identity, size, cached = self._identity()
        if not cached:
            self._check_reachable(entry.recipe)
        return ResolvedSource(
            identity=identity,
            description=entry.urn,
            os_type=entry.image.os_type,
            generation=entry.image.generation,
            exact_version=entry.version,
            size=size,
            cached=cached,
            bootstrapped=isinstance(entry.recipe, BootstrapRecipe),
            means=means(entry.recipe),
            devices=entry.image.devices,
            frozen=self._frozen,
            plan=plan_of(entry.image, self._model.plan_info),
            origin={
                "type": self._model.type,
                "urn": entry.urn,
                "version": entry.version,
                "digest": identity,
                "asked": self._model.version,
                "recipe": entry.recipe.kind,
            },
        )

    def _identity(self) -> tuple[str, int, bool]:
        """Identity, size (0: not known yet) and whether the disk is here."""
        recipe = self._entry.recipe
        if isinstance(recipe, FileRecipe) and (opened := self._opened) is not None:
            return self._key, opened.size, True
        meta = self._cache.find(self._key)
        if meta is not None:
            return meta.identity, meta.size, True
        if not _moves(recipe):
            return self._key, 0, False
        draw = self._cache.known_identity if self._services.read_only else self._cache.next_identity
        size = recipe.size_mib * 1024**2 if isinstance(recipe, BootstrapRecipe) else 0
        return draw(self._key), size, False

    @property
    def _frozen(self) -> str:
        """What a recipe that gives another disk tomorrow gave here, for as long as the base is kept."""
        meta = self._cache.find(self._key) if _moves(self._entry.recipe) else None
        if meta is None:
            return ""
        day = datetime.fromtimestamp(meta.created, UTC).date().isoformat()
        return f"fetched on {day}, {meta.digest}" if meta.digest else f"made on {day}"

    @cached_property
    def _opened(self) -> SourceDisk | None:
        """The file as a disk, where it is; None when it has to be converted or unpacked first."""
        recipe = self._entry.recipe
        assert isinstance(recipe, FileRecipe)  # noqa: S101 - only asked for by files
        self._check_there(recipe)
        return open_in_place(recipe.path, recipe.format, self._services)

    def _check_there(self, recipe: FileRecipe) -> None:
        """Raise NotFoundError before anything is opened: a pipe would be waited for without end."""
        if not recipe.path.is_file():
            what = "is no file" if recipe.path.exists() else "does not exist"
            raise NotFoundError(
                f"The disk image {recipe.path} of {self._entry.urn} {what}.",
                hint=f"Put it there, or correct its path in the catalogue '{self._entry.origin}'.",
            )

    def _make(self, folder: Path) -> MadeDisk:
        recipe = self._entry.recipe
        if isinstance(recipe, BootstrapRecipe):
            return self._bootstrap(recipe, folder)
        if isinstance(recipe, FileRecipe):
            return import_disk(recipe.path, recipe.path.name, recipe.format, folder, self._services)
        assert isinstance(recipe, DownloadRecipe)  # noqa: S101 - what is to be provided does not resolve
        return self._download(recipe, folder)

    def _download(self, recipe: DownloadRecipe, folder: Path) -> MadeDisk:
        from builder.download.network import Network

        services = self._services
        network = Network.of(services.settings)
        sha256, sha512, frozen = recipe.sha256, None, ""
        if recipe.sums is not None:
            found = recipe.sums.published().digest_of(
                recipe.file_name,
                cache=self._downloads,
                deadline=services.deadline,
                bus=services.bus,
                network=network,
            )
            sha256, sha512 = (found, None) if recipe.sums.algorithm == "sha256" else (None, found)
            frozen = f"{recipe.sums.algorithm}:{found}"
        file = self._downloads.fetch(
            [recipe.url, *recipe.mirrors],
            sha256=sha256 and sha256.lower(),
            sha512=sha512,
            deadline=services.deadline,
            bus=services.bus,
            network=network,
        )
        made = import_disk(file, recipe.file_name, recipe.format, folder, services)
        file.unlink()  # The base is the file now; the URL and its digest can bring it back.
        return replace(made, digest=frozen)

    @cached_property
    def _downloads(self) -> DownloadCache:
        from builder.download.cache import DownloadCache

        return DownloadCache(self._services.home.downloads)

    def _check_reachable(self, recipe: Recipe) -> None:
        """Raise OfflineError before anything boots, not when the disk is wanted."""
        from builder.download.errors import OfflineError
        from builder.download.network import Network

        if isinstance(recipe, BootstrapRecipe) and self._services.settings.offline:
            raise OfflineError(
                f"{self._entry.urn} is not on this machine; it is made of packages, which are not fetched "
                "offline.",
                hint=f"Run 'build marketplace fetch {self._entry.image.urn}' while there is a network, or "
                "bring it from another machine: build cache export --with-base, build cache import.",
            )
        if not isinstance(recipe, DownloadRecipe):
            return
        place = self._downloads.place(recipe.url, sha256=recipe.sha256.lower()) if recipe.sha256 else None
        if place is None or not place.exists():
            Network.of(self._services.settings).check_online(recipe.url, place)

    def _bootstrap(self, recipe: BootstrapRecipe, folder: Path) -> MadeDisk:
        from builder.disk.assemble import DiskLayout
        from builder.sources.bootstrap import Bootstrap

        disk = folder / "disk.raw"
        layout = DiskLayout(seed=self._key, size=recipe.size_mib)
        family = distribution_of(recipe.distribution)
        bootstrap = Bootstrap(family, recipe.suite, self._mirrors, layout, folder, packages=recipe.packages)
        bootstrap.build(disk, deadline=self._services.deadline, bus=self._services.bus)
        return MadeDisk(disk, "raw", layout.size * 1024**2)


def _moves(recipe: Recipe) -> bool:
    """Whether the recipe gives another disk tomorrow: new packages, a new file behind the address."""
    return isinstance(recipe, BootstrapRecipe) or (isinstance(recipe, DownloadRecipe) and bool(recipe.sums))


def _made_of(recipe: BootstrapRecipe) -> dict[str, object]:
    """What decides the disk. Debian is not named: bases were made before there was another family."""
    family = {} if recipe.distribution == "debian" else {"distribution": recipe.distribution}
    made = recipe.model_dump(mode="json", include={"kind", "suite", "size_mib", "packages"})
    return {**family, **made}
