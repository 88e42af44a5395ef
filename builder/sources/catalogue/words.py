"""Recipes in words: how an image comes here, and what proves it. For plans, `show` and the docs."""

from __future__ import annotations

from builder.sources.catalogue.model import (
    BootstrapRecipe,
    DownloadRecipe,
    FileRecipe,
    ProvideRecipe,
    Recipe,
)

BUILT_IN = "built-in"
"""The origin of the entries that every Goldsmith knows."""
NEVER = "never fetched by us"


def means(recipe: Recipe) -> str:
    """How the disk comes here: a clause."""
    if isinstance(recipe, BootstrapRecipe):
        return f"bootstrapped from the packages of {_family(recipe)} {recipe.suite}"
    if isinstance(recipe, DownloadRecipe):
        from builder.download.errors import public_url

        return f"downloaded from {public_url(recipe.url)}"
    if isinstance(recipe, FileRecipe):
        return f"opened, or converted, from {recipe.path}"
    return "brought by you"


def proof(recipe: Recipe) -> str:
    """What proves that the disk is what it says."""
    if isinstance(recipe, BootstrapRecipe):
        return f"the signatures of {_family(recipe)}'s archive, by the keyring {_keyring(recipe)}"
    if isinstance(recipe, DownloadRecipe):
        return _proof_of_download(recipe)
    if isinstance(recipe, FileRecipe):
        return f"sha256 {recipe.sha256}" if recipe.sha256 else "nothing: the file is taken as it is"
    return "the sha256 that 'build marketplace provide' notes"


def fetched(recipe: Recipe, origin: str) -> str:
    """Whether whoever wrote the entry has had the image; nothing to say of files and of what people bring."""
    if not isinstance(recipe, BootstrapRecipe | DownloadRecipe):
        return ""
    if origin != BUILT_IN:
        return f"fetched on {recipe.fetched}" if recipe.fetched else ""
    return f"fetched by us on {recipe.fetched}" if recipe.fetched else NEVER


def way(recipe: Recipe) -> str:
    """One word for a table."""
    return {"bootstrap": "packages", "download": "download", "file": "file", "provide": "yours to bring"}[
        recipe.kind
    ]


def what_to_provide(recipe: ProvideRecipe, urn: str) -> tuple[tuple[str, ...], str]:
    """Details and hint of the error for an image that nobody has brought yet."""
    details = [f"Bring: {recipe.supply} ({', '.join(recipe.formats)})"]
    if recipe.page:
        details.append(f"It is offered at {recipe.page}")
    if recipe.needs:
        details.append(f"Inside: {recipe.needs}")
    hint = f"Then say: build marketplace provide {urn} FILE"
    if recipe.iso:
        hint += '; or start from the installation medium: "source": {"type": "ISO", ...}'
    return tuple(details), hint + "."


def _family(recipe: BootstrapRecipe) -> str:
    from builder.sources.distribution import distribution_of

    return distribution_of(recipe.distribution).name


def _keyring(recipe: BootstrapRecipe) -> str:
    from builder.sources.distribution import distribution_of

    return str(distribution_of(recipe.distribution).keyring)


def _proof_of_download(recipe: DownloadRecipe) -> str:
    from builder.download.errors import public_url

    if recipe.sums is None:
        return f"sha256 {recipe.sha256}"
    sums = recipe.sums
    url = public_url(sums.url)
    if sums.style == "none":
        return f"{sums.algorithm} of {url}, which the publisher does not sign: https alone proves it"
    where = f"signature {public_url(sums.signature_url)}" if sums.signature_url else "signed text"
    return f"{sums.algorithm} of {url} ({where}), by the keyring {sums.keyring}, at the first fetch"
