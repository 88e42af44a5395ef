"""A good value for each place of an image template, whoever leaves it open: by the name of its field."""

from __future__ import annotations

import re
from typing import Any

GROUP = "/subscriptions/SUB/resourceGroups/GRP"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/me"
DEFINITION = f"{GROUP}/providers/Microsoft.Compute/galleries/g/images/d"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/v/subnets"
PLATFORM = {"type": "PlatformImage", "publisher": "p", "offer": "o", "sku": "s", "version": "latest"}
STEP = {"type": "Shell", "name": "n", "inline": ["true"]}
TARGET = {"type": "VHD", "runOutputName": "out"}

# Field, in small letters -> values that may stand there; the first one of the wanted type is taken.
FIELDS: dict[str, tuple[Any, ...]] = {
    "apiversion": ("2020-02-14",),
    "source": (PLATFORM,),
    "customize": ([STEP],),
    "distribute": ([TARGET],),
    "validate": ({"inVMValidations": [STEP]},),
    "invmvalidations": ([STEP],),
    "inline": (["true"],),
    "identity": ({"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},),
    "userassignedidentities": ([IDENTITY], {IDENTITY: {}}, IDENTITY),
    "imageid": (f"{GROUP}/providers/Microsoft.Compute/images/i",),
    "galleryimageid": (DEFINITION,),
    "imageversionid": (f"{DEFINITION}/versions/1.0.0",),
    "subnetid": (f"{SUBNET}/a",),
    "containerinstancesubnetid": (f"{SUBNET}/b",),
    "stagingresourcegroup": (GROUP,),
    "vnetconfig": ({"subnetId": f"{SUBNET}/a"},),
    "vmprofile": ({"vmSize": "Standard_D2s_v3"},),
    "targetregions": ([{"name": "westus"}],),
    "replicationregions": (["westus"],),
    "versioning": ({"scheme": "Latest"},),
    "version": ("1.0.0",),
    "scripturi": ("https://example.com/s.sh",),
    "sourceuri": ("https://example.com/s.sh",),
    "sha256checksum": ("0" * 64,),
    "uri": ("https://example.com/y.vhd",),
    "restarttimeout": ("5m",),
    "state": ("Enabled",),
    "storageaccounttype": ("Standard_LRS",),
    "replicationmode": ("Full",),
    "oncustomizererror": ("abort",),
    "onvalidationerror": ("abort",),
    "buildtimeoutinminutes": (60,),
    "osdisksizegb": (64,),
    "validexitcodes": ([0],),
}
# What a name says, where no field does: a pattern in small letters.
NAMES: tuple[tuple[str, Any], ...] = (
    (r"api.?version$", FIELDS["apiversion"][0]),
    (r"version$", FIELDS["version"][0]),
    (r"imageversion.*id$|versionid$", FIELDS["imageversionid"][0]),
    (r"imagedefinition.*id$|galleryimage.*id$", DEFINITION),
    (r"identit.*ids?$|userassigned.*ids?$|builderid$", IDENTITY),
    (r"subnet.*id$", f"{SUBNET}/a"),
    (r"resourcegroup(resource)?id$", GROUP),
    (r"ur[il]s?$|link$", "https://example.com/s.sh"),
)
KINDS: dict[str, type] = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}
PLAIN: dict[str, Any] = {"string": "x", "int": 1, "bool": False, "array": [], "object": {}}


def kind_of(declared: object) -> str:
    """The plain type of a parameter's: secure ones are like the others."""
    return str(declared).casefold().removeprefix("secure") or "string"


def sample(kind: str, *names: str) -> Any:
    """A value of a type for the first of the names that means something."""
    for name in names:
        by_name = (value for words, value in NAMES if re.search(words, name.casefold()))
        for value in (*FIELDS.get(name.casefold(), ()), *by_name):
            # A bool is an int for Python, not for ARM.
            if type(value) is KINDS.get(kind):
                return value
    return PLAIN.get(kind, "x")
