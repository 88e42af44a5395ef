"""Prices, from a file of your own: Goldsmith knows none. Sizes in GiB, money in the file's currency."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builder.errors import UsageError
from builder.registry.records import region_key

if TYPE_CHECKING:
    from builder.settings import Home, Settings
    from builder.usage.billing import UsageLine

GIB = 1024**3
NAME = "prices.toml"
TEMPLATE = """\
# What storage and traffic cost you. Goldsmith ships no prices: they differ by contract, region and time.
# Copy them from your price sheet, take away the marks, and keep this as prices.toml in GOLDSMITH_HOME (or
# name another place with the setting prices_file). 'build gallery usage' and 'build plan' count with it.

# currency = "EUR"

# Snapshots, per GiB and month, by storage account type.
# [storage]
# Standard_LRS = 0.00
# Standard_ZRS = 0.00
# Premium_LRS = 0.00

# The same in a region where it costs something else.
# [storage.westeurope]
# Standard_LRS = 0.00

# What leaves a region, per GiB: once for each version and region that is added to its own.
# [egress]
# default = 0.00
# "westeurope -> northeurope" = 0.00
"""
_DEFAULT = "default"
_ARROW = "->"
_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)

    currency: str = Field(default="", max_length=16)
    storage: dict[str, _Price | dict[str, _Price]] = {}
    egress: dict[str, _Price] = {}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a line costs: `storage` a month, `egress` once. None: the file has no price for it."""

    storage: float | None
    egress: float | None


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of a file. Keys are lower case: a storage account type, or (region, type); an egress pair
    of regions. `default_egress` None: there is none for pairs that are not named.
    """

    file: Path
    currency: str
    storage: dict[tuple[str, str], float]
    egress: dict[tuple[str, str], float]
    default_egress: float | None

    def storage_of(self, region: str, storage_account_type: str) -> float | None:
        """The price of a GiB for a month."""
        kind = storage_account_type.casefold()
        return self.storage.get((region_key(region), kind), self.storage.get(("", kind)))

    def egress_of(self, source: str, region: str) -> float | None:
        """The price of a GiB from one region to another."""
        return self.egress.get((region_key(source), region_key(region)), self.default_egress)

    def cost(self, line: UsageLine) -> Cost:
        """What a line costs; what is 0 bytes costs nothing, whether it has a price or not."""
        a_month = self.storage_of(line.region, line.storage_account_type)
        once = self.egress_of(line.source_region, line.region)
        return Cost(_times(line.billed, a_month), _times(line.egress, once))


def load_prices(home: Home, settings: Settings) -> Prices | None:
    """The prices of this home; None when there is no file. Raises UsageError naming what is wrong in it,
    or that the file which `prices_file` names is not there.
    """
    named = settings.prices_file
    file = named.expanduser() if named is not None else home.root / NAME
    if not file.is_absolute():
        file = home.root / file
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named is None:
            return None
        raise UsageError(
            f"The prices {file} do not exist; the setting prices_file names them.",
            hint="'build gallery usage --prices-template' prints such a file.",
        ) from None
    except OSError as error:
        raise UsageError(f"The prices {file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}", hint="Correct the file; it is TOML.") from error
    return _parsed(file, values)


def _parsed(file: Path, values: dict[str, Any]) -> Prices:
    try:
        found = _File.model_validate(values)
    except ValidationError as error:
        said: dict[str, str] = {}
        for one in error.errors():  # the first thing that a price could be is a number
            said.setdefault(_place(one["loc"]), _said(one["type"], one["msg"]))
        raise _wrong(file, *(f"{place}: {text}" for place, text in said.items())) from error
    storage: dict[tuple[str, str], float] = {}
    for name, value in found.storage.items():
        if isinstance(value, dict):
            storage |= {(region_key(name), kind.casefold()): price for kind, price in value.items()}
        else:
            storage["", name.casefold()] = value
    egress = {}
    for name, price in found.egress.items():
        if name == _DEFAULT:
            continue
        source, arrow, region = (part.strip() for part in name.partition(_ARROW))
        if not (source and arrow and region):
            raise _wrong(file, f"egress: '{name}' is neither 'default' nor 'REGION -> REGION'")
        egress[region_key(source), region_key(region)] = price
    return Prices(file, found.currency, storage, egress, found.egress.get(_DEFAULT))


def _place(location: tuple[int | str, ...]) -> str:
    """Without the names pydantic has for what a price may be: `float`, `dict[...]`."""
    names = [str(part) for part in location]
    return ".".join(name for name in names if not name.endswith("float") and "[" not in name)


def _said(kind: str, message: str) -> str:
    return "there is no such entry" if kind == "extra_forbidden" else message


def _wrong(file: Path, *details: str) -> UsageError:
    return UsageError(
        f"The prices in {file} are wrong.",
        details=details,
        hint="'build gallery usage --prices-template' prints a file with all that may stand in it.",
    )


def _times(size: int, price: float | None) -> float | None:
    if not size:
        return 0.0
    return None if price is None else size / GIB * price
