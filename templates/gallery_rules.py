"""What an image definition must be beyond its types. Pure.

Sources: aib-behaviour section 8 (features, defaults, end of life) and the ARM schema of Microsoft.Compute.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from templates.model.gallery import Feature, ImageDefinition, ResourceRange

SECURITY_TYPE = "SecurityType"
SECURITY_TYPES = (
    "Standard",
    "TrustedLaunchSupported",
    "TrustedLaunch",
    "ConfidentialVMSupported",
    "ConfidentialVM",
    "TrustedLaunchAndConfidentialVmSupported",
)
_BOOLEAN = ("True", "False")
FEATURES = {
    SECURITY_TYPE: SECURITY_TYPES,
    "IsHibernateSupported": _BOOLEAN,
    "IsAcceleratedNetworkSupported": _BOOLEAN,
    "DiskControllerType": ("SCSI", "SCSI, NVMe"),
}
# Trusted launch as default: aib-behaviour section 8.
_NEWER_DEFAULTS = "2025-03-03"


class Problem(NamedTuple):
    """What is wrong with a value of a definition's `properties`; `at` leads to it."""

    at: tuple[str | int, ...]
    message: str
    hint: str | None = None


def problems(definition: ImageDefinition) -> Iterator[Problem]:
    """Everything that is wrong with a definition, wherever it comes from."""
    properties = definition.properties
    yield from _features(properties.features, generation_of(definition))
    if properties.end_of_life_date is not None and parse_date(properties.end_of_life_date) is None:
        message = f"'{properties.end_of_life_date}' is no date"
        yield Problem(("endOfLifeDate",), message, "write it as 2027-12-31 or 2027-12-31T00:00:00Z")
    recommended = properties.recommended
    if recommended is not None:
        yield from _range(recommended.v_cpus, "vCPUs")
        yield from _range(recommended.memory, "memory")


def parse_date(text: str) -> datetime | None:
    """An ISO 8601 date or time, in UTC when it says no zone; None when it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def generation_of(definition: ImageDefinition) -> Literal["V1", "V2"]:
    """The generation of a new definition: what it says, else the default of its API version."""
    properties = definition.properties
    if "hyper_v_generation" in properties.model_fields_set or definition.api_version < _NEWER_DEFAULTS:
        return properties.hyper_v_generation
    return "V2"


def features_of(definition: ImageDefinition) -> list[Feature]:
    """The features of a new definition, likewise."""
    features = definition.properties.features
    if definition.api_version < _NEWER_DEFAULTS or generation_of(definition) != "V2":
        return features
    if any(feature.name.casefold() == SECURITY_TYPE.casefold() for feature in features):
        return features
    return [Feature(name=SECURITY_TYPE, value="TrustedLaunchSupported"), *features]


def _features(features: Sequence[Feature], generation: str) -> Iterator[Problem]:
    known = {name.casefold(): name for name in FEATURES}
    seen: set[str] = set()
    for index, feature in enumerate(features):
        at, name = ("features", index), feature.name.casefold()
        if name in seen:
            yield Problem((*at, "name"), f"the feature '{feature.name}' is there twice")
        seen.add(name)
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            if near:
                message = f"'{feature.name}' is no known feature"
                yield Problem((*at, "name"), message, f"did you mean '{known[near[0]]}'?")
            continue
        allowed = FEATURES[known[name]]
        if _folded(feature.value) not in {_folded(value) for value in allowed}:
            message = f"'{feature.value}' is no value of {known[name]}"
            yield Problem((*at, "value"), message, f"allowed are: {' | '.join(allowed)}")
        elif name == SECURITY_TYPE.casefold() and generation == "V1" and _folded(feature.value) != "standard":
            message = f"SecurityType {feature.value} needs hyperVGeneration V2"
            yield Problem((*at, "value"), message)


def _range(range_: ResourceRange | None, name: str) -> Iterator[Problem]:
    if range_ is None or range_.min is None or range_.max is None:
        return
    if range_.min > range_.max:
        message = f"the least, {range_.min}, is more than the most, {range_.max}"
        yield Problem(("recommended", name), message)


def _folded(value: str) -> str:
    return value.replace(" ", "").casefold()
