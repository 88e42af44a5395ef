"""ARM resource ids: `/subscriptions/…/resourceGroups/…/providers/Microsoft.Compute/…`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from templates.errors import UsageError

MANAGED_IMAGE_TYPE = "Microsoft.Compute/images"
GALLERY_TYPE = "Microsoft.Compute/galleries"
DEFINITION_TYPE = "Microsoft.Compute/galleries/images"
VERSION_TYPE = "Microsoft.Compute/galleries/images/versions"
LATEST = "latest"

_GROUP = "/subscriptions/<id>/resourceGroups/<group>/providers/"
_MANAGED_FORM = f"{_GROUP}Microsoft.Compute/images/<name>"
_DEFINITION_FORM = f"{_GROUP}Microsoft.Compute/galleries/<gallery>/images/<definition>"
_VERSION_FORM = f"{_DEFINITION_FORM}/versions/<x.y.z or latest>"
_VERSION = re.compile(r"\d{1,10}\.\d{1,10}\.\d{1,10}", re.ASCII)
_MAX_PART = 2**31 - 1
# subscriptions, id, resourceGroups, group, providers, namespace, type, name
_SHORTEST = 8


class ResourceIdError(UsageError):
    """A text that is not the ARM id it should be."""

    code = "BadResourceId"


@dataclass(frozen=True, slots=True, eq=False)
class ResourceId:
    """An ARM id of a resource in a resource group. Compared without case, printed as written."""

    subscription: str
    resource_group: str
    provider: str
    types: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> ResourceId:
        """Read `text`. Raises ResourceIdError that says which part is missing."""
        parts = text.split("/")
        if parts[0] or not text.startswith("/"):
            raise ResourceIdError(
                f"'{text}' is not an ARM id: it must start with /subscriptions/", hint=_GROUP
            )
        parts = parts[1:]
        if parts and not parts[-1]:
            raise ResourceIdError(f"'{text}' ends with '/'", hint="remove the last '/'")
        if not all(part.strip() for part in parts):
            raise ResourceIdError(f"'{text}' has an empty part", hint="look for '//'")
        for index, word in ((0, "subscriptions"), (2, "resourceGroups"), (4, "providers")):
            found = parts[index] if index < len(parts) else "nothing"
            if found.casefold() != word.casefold():
                message = f"'{text}' is not an ARM id: expected '{word}', found '{found}'"
                raise ResourceIdError(message, hint=f"the form is {_GROUP}<namespace>/<type>/<name>")
        if len(parts) < _SHORTEST or len(parts) % 2:
            raise ResourceIdError(f"'{text}' is cut short: a type has no name", hint=f"{_GROUP}<type>/<name>")
        return cls(parts[1], parts[3], parts[5], tuple(parts[6::2]), tuple(parts[7::2]))

    @property
    def type(self) -> str:
        """The full type, for example `Microsoft.Compute/galleries/images`."""
        return "/".join((self.provider, *self.types))

    @property
    def name(self) -> str:
        """The last name."""
        return self.names[-1]

    @property
    def key(self) -> str:
        """The id in one case: what to compare and store under."""
        return str(self).casefold()

    @property
    def parent(self) -> ResourceId | None:
        """The resource this one is a child of, None for a top-level one."""
        if len(self.names) == 1:
            return None
        return ResourceId(
            self.subscription, self.resource_group, self.provider, self.types[:-1], self.names[:-1]
        )

    def child(self, kind: str, name: str) -> ResourceId:
        """The id of a child resource."""
        return ResourceId(
            self.subscription, self.resource_group, self.provider, (*self.types, kind), (*self.names, name)
        )

    def is_a(self, kind: str) -> bool:
        """Whether the type is `kind`, compared without case."""
        return self.type.casefold() == kind.casefold()

    def __str__(self) -> str:
        pairs = "/".join(f"{kind}/{name}" for kind, name in zip(self.types, self.names, strict=True))
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/{self.provider}/{pairs}"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceId) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, slots=True)
class GalleryImageId:
    """An image definition, with or without one of its versions."""

    definition: ResourceId
    version: str | None = None

    @property
    def gallery(self) -> ResourceId:
        """The gallery of the definition."""
        gallery = self.definition.parent
        assert gallery is not None  # noqa: S101 - a definition always has one
        return gallery

    @property
    def gallery_name(self) -> str:
        """The gallery's name."""
        return self.definition.names[0]

    @property
    def definition_name(self) -> str:
        """The definition's name."""
        return self.definition.names[1]

    @property
    def is_latest(self) -> bool:
        """Whether the version is to be resolved when the build runs."""
        return self.version is not None and self.version.casefold() == LATEST

    def __str__(self) -> str:
        tail = "" if self.version is None else f"/versions/{self.version}"
        return f"{self.definition}{tail}"


def parse_managed_image(text: str) -> ResourceId:
    """The id of a managed image. Raises ResourceIdError."""
    found = ResourceId.parse(text)
    if not found.is_a(MANAGED_IMAGE_TYPE):
        raise ResourceIdError(
            f"'{text}' is the id of a {found.type}, not of a managed image", hint=_MANAGED_FORM
        )
    return found


def parse_gallery_image(text: str) -> GalleryImageId:
    """The id of a definition, where a distributor may add `/versions/x.y.z`. Raises ResourceIdError."""
    found = _parse_gallery(text, _DEFINITION_FORM)
    if found.is_latest:
        message = "a target version is a number: 'latest' can only be read, not written"
        raise ResourceIdError(message, hint="leave /versions/latest out to get the next number")
    return found


def parse_image_version(text: str) -> GalleryImageId:
    """The id of a gallery version, `latest` included. Raises ResourceIdError."""
    found = _parse_gallery(text, _VERSION_FORM)
    if found.version is None:
        raise ResourceIdError(
            f"'{text}' names no version", hint="append /versions/latest or /versions/<x.y.z>"
        )
    return found


def check_version(text: str) -> tuple[int, int, int]:
    """The three numbers of a gallery version. Raises ResourceIdError."""
    if _VERSION.fullmatch(text):
        major, minor, patch = (int(part) for part in text.split("."))
        if max(major, minor, patch) <= _MAX_PART:
            return major, minor, patch
    raise ResourceIdError(
        f"'{text}' is not an image version",
        hint="a version is Major.Minor.Patch, for example 1.0.0 or 2018.12.1",
    )


def _parse_gallery(text: str, form: str) -> GalleryImageId:
    if text.casefold().startswith(("/sharedgalleries/", "/communitygalleries/")):
        raise ResourceIdError(
            f"'{text}' is in somebody else's gallery, which this machine cannot reach",
            hint=f"the form is {form}",
        )
    found = ResourceId.parse(text)
    if found.is_a(DEFINITION_TYPE):
        return GalleryImageId(found)
    parent = found.parent
    if not found.is_a(VERSION_TYPE) or parent is None:
        raise ResourceIdError(f"'{text}' is the id of a {found.type}, not of a gallery image", hint=form)
    if found.name.casefold() != LATEST:
        check_version(found.name)
    return GalleryImageId(parent, found.name)
