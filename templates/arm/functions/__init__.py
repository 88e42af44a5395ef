"""The functions of ARM template expressions, after Microsoft's reference "ARM template functions".

One file a group; importing this package fills the registry.
"""

from templates.arm.functions import (
    arrays,
    cidr,
    dates,
    deployment,
    encodings,
    formats,
    hashes,
    lambdas,
    logical,
    numeric,
    objects,
    resources,
    strings,
)
from templates.arm.functions.registry import REGISTRY, Function, call

__all__ = [
    "REGISTRY",
    "Function",
    "arrays",
    "call",
    "cidr",
    "dates",
    "deployment",
    "encodings",
    "formats",
    "hashes",
    "lambdas",
    "logical",
    "numeric",
    "objects",
    "resources",
    "strings",
]
