"""Goldsmith's registry for Python programs: the verbs of `build gallery` and `build images`.

    from builder.api import Goldsmith

    with Goldsmith() as goldsmith:
        goldsmith.galleries.create("team")
        goldsmith.definitions.create("team/web", publisher="Acme", offer="web", sku="1")
        print(goldsmith.latest("team/web", region="westeurope").version)

Things are named as on the command line: `team`, `team/web`, `team/web/1.0.0`, `group/image`, or by ARM id.
What is handed out are frozen records (`builder.registry.records`). Errors are GoldsmithErrors: `message`,
`details`, `hint`. Every call asks whether its caller may (docs/access.md).
"""

from __future__ import annotations

from builder.api.access import Access
from builder.api.channels import Channels
from builder.api.definitions import Definitions, Described, Made
from builder.api.galleries import Galleries
from builder.api.goldsmith import Goldsmith
from builder.api.images import Images
from builder.api.versions import Versions

__all__ = [
    "Access",
    "Channels",
    "Definitions",
    "Described",
    "Galleries",
    "Goldsmith",
    "Images",
    "Made",
    "Versions",
]
