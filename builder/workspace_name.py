"""How AIB names a staging group: `IT_<DestinationResourceGroup>_<TemplateName>`."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from templates.model import ImageTemplate, ManagedImageDistributor, SharedImageDistributor

if TYPE_CHECKING:
    from builder.services import Services

# ARM allows 90 characters; AIB truncates the parts (aib-behaviour, section 10).
MAX_LENGTH = 90
_HASH_LENGTH = 8
_GROUP = re.compile(r"/resourceGroups/([^/]+)", re.IGNORECASE)


def workspace_name(template: ImageTemplate, services: Services) -> str:
    """The name of the template's workspace."""
    return clean_name(f"IT_{group_of(template, services)}_{template.name}")


def group_of(template: ImageTemplate, services: Services) -> str:
    """The resource group of the first ManagedImage or SharedImage target, else the setting."""
    for target in template.properties.distribute:
        target_id = ""
        if isinstance(target, ManagedImageDistributor):
            target_id = target.image_id
        elif isinstance(target, SharedImageDistributor):
            target_id = target.gallery_image_id
        found = _GROUP.search(target_id)
        if found:
            return found.group(1)
    return services.settings.resource_group


def clean_name(name: str) -> str:
    """`name` as a file name: odd characters become `-`, and what was changed or cut is told apart
    by a hash of the whole, so that two names never share a workspace.

    >>> clean_name("IT_images_web")
    'IT_images_web'
    """
    clean = re.sub(r"[^A-Za-z0-9._()-]", "-", name)
    clean = re.sub(r"^\.+", lambda dots: "-" * len(dots.group()), clean)
    if clean == name and 0 < len(name) <= MAX_LENGTH:
        return name
    # ARM compares names without case: the hash must not tell two spellings apart.
    digest = hashlib.sha256(name.lower().encode()).hexdigest()[:_HASH_LENGTH]
    return f"{clean[: MAX_LENGTH - _HASH_LENGTH - 1]}-{digest}"
