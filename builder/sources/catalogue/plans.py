"""Purchase plans: Azure refuses an image whose plan the request does not repeat, word for word.

Here nothing is bought. The check saves a template that builds here from failing there.
"""

from __future__ import annotations

import json

from builder.errors import PreflightError
from builder.sources.catalogue.model import CatalogueImage, PlanTerms
from templates.model.source import PlanInfo


class PlanError(PreflightError):
    """`source.planInfo` is not the plan the image is sold under."""

    code = "PlanMismatch"


def check_plan(image: CatalogueImage, given: PlanInfo | None) -> None:
    """Raise PlanError when the template's planInfo is missing, not wanted, or another one."""
    plan = image.plan
    if plan is None:
        if given is not None:
            raise PlanError(
                f"{image.urn} is sold without a purchase plan, and the template names one.",
                details=(f"source.planInfo: {_said(given)}",),
                hint="Remove planInfo from the source; if the image does have a plan, its entry in your "
                "catalogue.json can say so.",
            )
        return
    if given is None:
        if plan.required:
            raise PlanError(
                f"{image.urn} is sold under a purchase plan, and the template has no planInfo.",
                details=(_paste(plan),),
                hint="Add that to the source. In Azure its terms must be accepted once: "
                f"az vm image terms accept --urn {image.urn}:latest",
            )
        return
    wrong = [
        f"{name} is '{said}', the image's is '{meant}'"
        for name, said, meant in (
            ("planName", given.plan_name, plan.name),
            ("planProduct", given.plan_product, plan.product),
            ("planPublisher", given.plan_publisher, plan.publisher),
        )
        if said.casefold() != meant.casefold()
    ]
    if wrong:
        raise PlanError(
            f"The template's planInfo is not the purchase plan of {image.urn}.",
            details=(*wrong, _paste(plan)),
            hint="Write planInfo as above.",
        )


def plan_of(image: CatalogueImage, given: PlanInfo | None) -> dict[str, str] | None:
    """The plan under which the image is used, as a definition's purchasePlan has it."""
    if image.plan is None or given is None:
        return None
    return {"name": image.plan.name, "publisher": image.plan.publisher, "product": image.plan.product}


def plan_info(plan: PlanTerms) -> dict[str, str]:
    """The plan as AIB's source takes it."""
    return {"planName": plan.name, "planProduct": plan.product, "planPublisher": plan.publisher}


def _paste(plan: PlanTerms) -> str:
    return f'"planInfo": {json.dumps(plan_info(plan))}'


def _said(given: PlanInfo) -> str:
    return f"{given.plan_publisher}:{given.plan_product}:{given.plan_name}"
