"""Getting a marketplace image ready without a template: what a build's first stage would do, now."""

from __future__ import annotations

import sys
from dataclasses import replace

from builder.deadline import Deadline
from builder.errors import CancelledError
from builder.services import Services
from builder.settings import Home, load_settings
from builder.sources.base import ResolvedSource, SourceDisk
from builder.sources.catalogue import CatalogueEntry
from templates.model.source import PlanInfo, PlatformImageSource

_LIMIT_SECONDS = 4 * 3600.0
"""As long as a build may take when its template does not say."""


def prepare(
    entry: CatalogueEntry, *, recipe: str = "", again: bool = False, plain: bool = False, quiet: bool = False
) -> tuple[ResolvedSource, SourceDisk]:
    """Bring the disk of `entry` here; progress goes to stderr. `recipe` overrides the setting; `again` makes
    it anew; until that is done the old one stays.

    Returns what it resolves to, `cached` for whether it was here already, and the disk. Raises
    CancelledError, InUseError and what resolving and preparing a marketplace source raise.
    """
    from builder.cancellation import Interrupted, cancel_on_signals
    from builder.sources.marketplace import MarketplaceSource
    from builder.ui.choose import open_sinks

    home = Home()
    home.ensure()
    settings = load_settings(home)
    if recipe:
        settings = settings.model_copy(update={"source_recipe": recipe})
    model = _source(entry)
    services = Services.of(home, settings, Deadline(_LIMIT_SECONDS))
    with open_sinks(plain=plain, quiet=quiet, stdout=sys.stderr) as sinks:
        for sink in sinks:
            services.bus.add_sink(sink)
        try:
            with cancel_on_signals():
                renewed = again and MarketplaceSource(model, services).renew()
                source = MarketplaceSource(model, services)
                resolved = source.resolve()
                disk = source.prepare()
                after = MarketplaceSource(model, services).resolve()  # what is known now that it is here
        except Interrupted as signal:
            raise CancelledError(f"Stopped by {signal.signal_name}; what was half made is gone.") from None
    return replace(after, cached=resolved.cached and not renewed), disk


def _source(entry: CatalogueEntry) -> PlatformImageSource:
    image, plan = entry.image, entry.image.plan
    return PlatformImageSource(
        type="PlatformImage",
        publisher=image.publisher,
        offer=image.offer,
        sku=image.sku,
        version=entry.version,
        plan_info=None
        if plan is None
        else PlanInfo(plan_name=plan.name, plan_product=plan.product, plan_publisher=plan.publisher),
    )
