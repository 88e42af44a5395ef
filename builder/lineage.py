"""What an image was made from, as it is recorded with it: no secret, and no user's name, is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioners.base import FrozenContent

if TYPE_CHECKING:
    from builder.layers.route import Route
    from builder.redact import Redactor
    from builder.sources.base import ResolvedSource
    from templates import Document
    from templates.model import ImageTemplate

FORMAT = 1


def lineage_of(
    document: Document,
    template: ImageTemplate,
    source: ResolvedSource,
    route: Route,
    frozen: Mapping[str, FrozenContent],
    redactor: Redactor,
) -> dict[str, Any]:
    """The lineage of every image that a build of `template` hands out.

    - `source`: type, id, urn or uri, version, and the digest (or identity) of its content;
    - `template`, `templateDigest`: its name, and the sha256 of its computed JSON (`template_digest`);
    - `layers`: ids of the layers it lies on, from the first boot on, made or cached alike; none when the
      build has no layers;
    - `inputs`: of every script and file of the customizers the step (from 1), name and sha256;
    - `goldsmith`: the version that built it.
    """
    from importlib.metadata import version

    found = {
        "format": FORMAT,
        "source": dict(source.origin) or {"description": source.description, "digest": source.identity},
        "template": template.name,
        "templateDigest": template_digest(document, template, redactor),
        "layers": [link.id for link in route.links],
        "inputs": list(recorded_inputs(template, frozen, redactor)),
        "goldsmith": version("goldsmith"),
    }
    return {key: redactor.scrub_json(value) for key, value in found.items()}


def template_digest(document: Document, template: ImageTemplate, redactor: Redactor) -> str:
    """The sha256 of the template's computed JSON, keys in order, without blanks: spelling, comments and
    the file around it do not count, values of parameters and variables do. Secrets are `****` in it.
    """
    data = redactor.scrub_json(document.data_of(template))
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def without_user(text: str) -> str:
    """A path, or an address of one, with `~` for the home of the user who builds."""
    home = str(Path("~").expanduser())
    return text if home in ("/", "~") else text.replace(f"{home}/", "~/")


def recorded_inputs(
    template: ImageTemplate, frozen: Mapping[str, FrozenContent], redactor: Redactor
) -> Iterator[dict[str, Any]]:
    """The `inputs` of a lineage, of what `frozen` holds."""
    for number in range(len(template.properties.customize)):
        content = frozen.get(f"/properties/customize/{number}")
        if content is None:  # a restart
            continue
        # Of commands with a secret in them not even a digest that could be guessed at.
        clean = redactor.scrub_bytes(content.data)
        digest = content.sha256 if clean == content.data else hashlib.sha256(clean).hexdigest()
        yield {"step": number + 1, "name": without_user(content.origin), "digest": digest}
