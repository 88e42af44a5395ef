"""The local marketplace: which recipe makes which publisher/offer/sku/version.

The built-in catalogue is data (builtin.json); team catalogues (`$GOLDSMITH_HOME/catalogues/`) and the user's
own (`$GOLDSMITH_HOME/catalogue.json`) have the same form and are laid over it, version by version. Names are
compared without case, as ARM does.
"""

from builder.sources.catalogue.catalogue import LATEST, Catalogue, CatalogueEntry
from builder.sources.catalogue.load import load_catalogue
from builder.sources.catalogue.model import (
    BootstrapRecipe,
    CatalogueImage,
    DownloadRecipe,
    FileRecipe,
    PlanTerms,
    ProvideRecipe,
    Recipe,
    SumsRecipe,
)

__all__ = [
    "LATEST",
    "BootstrapRecipe",
    "Catalogue",
    "CatalogueEntry",
    "CatalogueImage",
    "DownloadRecipe",
    "FileRecipe",
    "PlanTerms",
    "ProvideRecipe",
    "Recipe",
    "SumsRecipe",
    "load_catalogue",
]
