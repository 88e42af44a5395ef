"""Short names for people: what may be typed instead of a whole ARM id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import UsageError
from builder.registry.errors import AuthorizationError
from templates.arm_id import MANAGED_IMAGE_TYPE, ResourceId

if TYPE_CHECKING:
    from builder.registry.records import VersionRecord
    from builder.registry.store import Registry


def gallery_id(registry: Registry, text: str) -> str:
    """The id of a gallery given by id or name. Raises NotFoundError, UsageError."""
    if text.startswith("/"):
        return text
    return registry.find_gallery_by_name(_parts(text, 1, "GALLERY")[0]).id


def definition_id(registry: Registry, text: str) -> str:
    """The id of a definition given by id or as `gallery/definition`. Raises NotFoundError, UsageError."""
    if text.startswith("/"):
        return text
    gallery, definition = _parts(text, 2, "GALLERY/DEFINITION")
    return f"{registry.find_gallery_by_name(gallery).id}/images/{definition}"


def version_id(registry: Registry, text: str) -> str:
    """The id of a version given by id or `gallery/definition/version`, where `@prod` instead of a number is
    the version that channel points to now. Raises NotFoundError, UsageError.
    """
    if not text.startswith("/"):
        gallery, definition, version = _parts(text, 3, "GALLERY/DEFINITION/VERSION")
        text = f"{registry.find_gallery_by_name(gallery).id}/images/{definition}/versions/{version}"
    owner, _, last = text.rpartition("/versions/")
    return registry.find_channel(owner, last[1:]).version_id if owner and last.startswith("@") else text


def image_id(registry: Registry, text: str, subscription: str) -> str:
    """The id of a managed image given by id, `group/name`, or a name that only one image has.

    Raises NotFoundError, UsageError.
    """
    if text.startswith("/"):
        return text
    if "/" in text:
        group, name = _parts(text, 2, "GROUP/NAME")
        provider, kind = MANAGED_IMAGE_TYPE.split("/")
        return str(ResourceId(subscription, group, provider, (kind,), (name,)))
    found = registry.find_images_by_name(text)
    if len(found) > 1:
        raise UsageError(
            f"Several managed images are called '{text}'.",
            details=tuple(image.id for image in found),
            hint="Say which: GROUP/NAME or the whole id.",
        )
    return found[0].id


def scope_id(registry: Registry, text: str, subscription: str) -> str:
    """A scope of roles given by id, as "/", `gallery`, `gallery/definition`, `gallery/definition/1.0.0`,
    `group:NAME` or `image:GROUP/NAME`. Raises NotFoundError, UsageError.
    """
    kind, colon, name = text.partition(":")
    if text.startswith("/"):
        return text
    if colon and kind in ("group", "image") and name:
        if kind == "image":
            return image_id(registry, name, subscription)
        return f"/subscriptions/{subscription}/resourceGroups/{name}"
    gallery, *rest = text.split("/")
    if len(rest) > 2 or not all((gallery, *rest)):
        raise UsageError(
            f"'{text}' is no scope.",
            hint="Write GALLERY, GALLERY/DEFINITION, GALLERY/DEFINITION/1.0.0, group:NAME, image:GROUP/NAME, "
            "/ or an ARM id.",
        )
    kinds = ("images", "versions")
    return "/".join(
        (registry.locate_gallery(gallery), *(x for pair in zip(kinds, rest, strict=False) for x in pair))
    )


def newest_seen(registry: Registry, definition_id: str) -> VersionRecord | None:
    """The newest good version of a definition; for one who may see only some of them, of these."""
    try:
        return registry.newest_version(definition_id)
    except AuthorizationError:
        seen = registry.list_versions(definition_id)
        good = (one for one in seen if one.state == "Succeeded" and not one.exclude_from_latest)
        return next((one for one in good if one.revoked_at is None), None)


def _parts(text: str, count: int, form: str) -> list[str]:
    parts = text.split("/")
    if len(parts) != count or not all(parts):
        raise UsageError(f"'{text}' is neither an ARM id nor of the form {form}.")
    return parts
