from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builder.errors import PreflightError
from builder.registry.fits import ImageKind, check_fits
from builder.registry.limits import GIB, Limits, QuotaError
from builder.registry.records import DefinitionRecord
from builder.registry.store import Registry
from registry.conftest import WEB

IMAGE = ImageKind("my-image", "Linux", "V1", sizes=(GIB, 0))
PLAN = {"name": "gold", "publisher": "acme", "product": "web"}


@pytest.fixture
def record(web: Registry) -> DefinitionRecord:
    return web.find_definition(WEB)


def test_what_fits_is_not_refused(record: DefinitionRecord) -> None:
    check_fits(record, IMAGE)
    check_fits(replace(record, plan=PLAN), replace(IMAGE, plan=dict(reversed(PLAN.items()))))
    check_fits(replace(record, os_state="Specialized"), replace(IMAGE, os_state="Specialized"))
    check_fits(record, replace(IMAGE, sizes=(32 * 1024 * GIB,)), mode="Shallow")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"os_state": "Specialized"},
            "Cannot create Gallery Image Version from: my-image since the OS State in the parent gallery "
            "image (Generalized) is not Specialized",
        ),
        (
            {"os_type": "Windows"},
            "The resource with id 'my-image' has a different OS type ['Windows'] than the parent gallery "
            "image OS type generation ['Linux']",
        ),
        (
            {"generation": "V2"},
            "The resource with id 'my-image' has a different Hypervisor generation ['V2'] than the parent "
            "gallery image Hypervisor generation ['V1']",
        ),
        (
            {"architecture": "Arm64"},
            "The resource with id 'my-image' has a different architecture ['Arm64'] than the parent gallery "
            "image architecture ['x64']",
        ),
        (
            {"plan": PLAN},
            'The resource with id \'my-image\' has a different plan [\'{"name": "gold", "publisher": "acme", '
            '"product": "web"}\'] than the parent gallery image plan [\'null\']',
        ),
        (
            {"sizes": (GIB, 3 * 1024 * GIB)},
            "The disk of 3.0 TiB is larger than the 2 TiB an image version may have in replication "
            "mode Full.",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_azures_words(
    record: DefinitionRecord, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PreflightError) as caught:
        check_fits(record, replace(IMAGE, **changes))
    assert caught.value.message == message


@pytest.mark.parametrize("changed", [None, {**PLAN, "name": "silver"}, {**PLAN, "product": "db"}])
def test_a_plan_matches_in_every_part(record: DefinitionRecord, changed: dict[str, str] | None) -> None:
    with pytest.raises(PreflightError, match="has a different plan"):
        check_fits(replace(record, plan=PLAN), replace(IMAGE, plan=changed))


@pytest.mark.parametrize("kind", ["TrustedLaunch", "ConfidentialVM"])
def test_what_needs_a_virtual_tpm_is_refused(record: DefinitionRecord, kind: str) -> None:
    with pytest.raises(PreflightError, match="with a virtual TPM only"):
        check_fits(replace(record, features=({"name": "SecurityType", "value": kind},)), IMAGE)
    check_fits(replace(record, features=({"name": "SecurityType", "value": f"{kind}Supported"},)), IMAGE)


def test_limits_are_settings(record: DefinitionRecord) -> None:
    with pytest.raises(PreflightError, match=r"The disk of 1\.0 TiB is larger than the 1000 GiB"):
        check_fits(record, replace(IMAGE, sizes=(1024 * GIB,)), limits=Limits(disk_gib=1000))
    with pytest.raises(
        QuotaError, match=r"Location: West US, Current Limit: 2, Current Usage: 2, Additional"
    ):
        Limits(galleries=2).check("galleries", 2, "West US")
    Limits(galleries=2).check("galleries", 1, "West US")
