"""What each API version knows: a table, as changes on the way to the newest version.

The models are those of the newest version; this table says since when each part of them exists and how
older versions spelled it. Source: the published schemas of the ten versions, with which
tests/unit/templates/test_versions.py compares every line, and aib-template section 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from templates import model as m
from templates.versions import (
    KNOWN,
    V2018_02,
    V2019_02,
    V2019_05,
    V2020_02,
    V2021_10,
    V2022_02,
    V2022_07,
    V2023_07,
    V2024_02,
    V2025_10,
)

# Fields that came after their model, by their names in JSON.
FIELDS: Mapping[type[BaseModel], Mapping[str, str]] = {
    m.ImageTemplate: {"identity": V2019_05},
    m.Properties: {
        "buildTimeoutInMinutes": V2019_05,
        "vmProfile": V2019_05,
        "validate": V2022_02,
        "stagingResourceGroup": V2022_02,
        "optimize": V2022_07,
        "errorHandling": V2023_07,
        "autoRun": V2024_02,
        "managedResourceTags": V2024_02,
        "additionalDataDisks": V2025_10,
    },
    m.PlatformImageSource: {"planInfo": V2020_02},
    m.ShellStep: {"inline": V2019_02, "scriptUri": V2019_05, "sha256Checksum": V2019_05},
    m.PowerShellStep: {
        "scriptUri": V2019_05,
        "sha256Checksum": V2019_05,
        "runElevated": V2019_05,
        "runAsSystem": V2020_02,
    },
    m.VhdDistributor: {"uri": V2022_07},
    m.SharedImageDistributor: {
        "excludeFromLatest": V2020_02,
        "storageAccountType": V2020_02,
        "targetRegions": V2022_07,
        "versioning": V2022_07,
        "replicationMode": V2025_10,
    },
    m.VmProfile: {"osDiskSizeGB": V2020_02, "vnetConfig": V2020_02, "userAssignedIdentities": V2021_10},
    m.VnetConfig: {"proxyVmSize": V2021_10, "containerInstanceSubnetId": V2024_02},
    m.Optimize: {"workload": V2025_10},
}

# Models that an object's `type` names, and that came after 2018-02-01-preview.
TYPES: Mapping[type[BaseModel], str] = {
    m.ManagedImageSource: V2019_02,
    m.SharedImageVersionSource: V2019_05,
    m.ShellStep: V2019_02,  # spelled `shell` before
    m.PowerShellStep: V2019_02,
    m.WindowsRestartStep: V2019_02,
    m.FileStep: V2019_05,
    m.WindowsUpdateStep: V2020_02,
    m.ManagedImageDistributor: V2019_02,  # spelled `managedImage` before
    m.SharedImageDistributor: V2019_02,  # spelled `sharedImage` before
    m.VhdDistributor: V2019_02,
}
# A validator is as old as `validate`, but for this one.
VALIDATORS: Mapping[type[BaseModel], str] = {m.FileStep: V2022_07}

# Values that came after their field.
VALUES: Mapping[tuple[type[BaseModel], str, str], str] = {
    (m.PlatformImageSource, "version", "latest"): V2019_02,
    (m.SharedImageDistributor, "storageAccountType", "Premium_LRS"): V2022_07,
}

# Models that are gone, with the first version that had them no more.
REMOVED: Mapping[type[BaseModel], str] = {m.IsoSource: V2020_02}

# Fields that had to be there, though the newest version does not ask for them: before which version.
ONCE_REQUIRED: Mapping[type[BaseModel], Mapping[str, str]] = {
    m.SharedImageDistributor: {"replicationRegions": V2022_07},
}

IDENTITY_REQUIRED = V2020_02
DOTS_IN_NAMES = V2019_05


@dataclass(frozen=True, slots=True)
class Spelling:
    """Another name of a field. `native` holds the API versions in which it was the right one."""

    old: str
    new: str
    native: frozenset[str]
    code: str = "OldSpelling"


def _until(first: str, last: str) -> frozenset[str]:
    return frozenset(version for version in KNOWN if first <= version <= last)


# Only in samples, and in what people made of them: no published version has these two. The second is a
# slip of the pen in a solution of Azure's own, found in many copies (aib-behaviour, section 2).
_TAGS = (
    Spelling("tags", "artifactTags", frozenset()),
    Spelling("aritfactTags", "artifactTags", frozenset(), "Misspelt"),
)
SPELLINGS: Mapping[type[BaseModel], tuple[Spelling, ...]] = {
    m.ShellStep: (Spelling("script", "scriptUri", _until(V2018_02, V2019_02)),),
    m.PowerShellStep: (Spelling("script", "scriptUri", _until(V2019_02, V2019_02)),),
    m.IsoSource: (Spelling("sourceURI", "sourceUri", _until(V2018_02, V2019_02)),),
    m.ManagedImageDistributor: _TAGS,
    m.SharedImageDistributor: _TAGS,
    m.VhdDistributor: _TAGS,
}

# Types whose first letter was small, in the versions in which that was right.
TYPE_SPELLINGS: Mapping[type[BaseModel], Spelling] = {
    m.ShellStep: Spelling("shell", "Shell", _until(V2018_02, V2018_02)),
    m.ManagedImageDistributor: Spelling("managedImage", "ManagedImage", _until(V2018_02, V2018_02)),
    m.SharedImageDistributor: Spelling("sharedImage", "SharedImage", _until(V2018_02, V2018_02)),
}
