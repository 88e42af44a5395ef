"""What a catalogue file says: images, their versions, and the recipes that make them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from builder.sources.base import Devices, Generation, OsType, usual_devices

if TYPE_CHECKING:
    from builder.download.checksums import PublishedSums

FORMAT = 1
"""The format this Goldsmith reads. A newer one is refused with a word about it, not misread."""

FileFormat = Literal["raw", "qcow2", "vhd", "vhdx", "vmdk"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


def _usable(url: str) -> str:
    from builder.download.errors import DownloadError, check_address

    try:
        check_address(url)
    except DownloadError:
        raise ValueError("that is not an address") from None
    return url


WebUrl = Annotated[str, Field(pattern=r"^[hH][tT][tT][pP][sS]?://"), AfterValidator(_usable)]
_Name = Annotated[str, Field(min_length=1, pattern=r"^[^:\s][^:]*$")]
_Package = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.:-]*$")]
_Fetched = Field(
    default="",
    pattern=r"^(\d{4}-\d{2}-\d{2})?$",
    description="When the catalogue's makers last had it from there and built an image of it; empty: never",
)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class BootstrapRecipe(_Model):
    """A system made from its distribution's packages, which the archive's own signatures prove."""

    kind: Literal["bootstrap"]
    distribution: Literal["debian", "ubuntu"] = Field(default="debian", description="Whose packages")
    suite: str = Field(pattern=r"^[a-z][a-z0-9.-]*$", description="The release's code name, such as bookworm")
    size_mib: int = Field(default=4096, ge=2048, le=1024 * 1024, description="Size of the disk")
    packages: tuple[_Package, ...] = Field(default=(), description="Packages on top of ours")
    fetched: str = _Fetched


class SumsRecipe(_Model):
    """A file of checksums that the publisher keeps beside the image, and what proves that file."""

    url: WebUrl = Field(
        description="The file of checksums; it names the image by the last part of its address"
    )
    algorithm: Literal["sha256", "sha512"] = Field(default="sha256", description="The checksums in it")
    style: Literal["detached", "inline", "none"] = Field(
        description="detached: the signature is a file of its own; inline: the sums are signed text; "
        "none: the publisher signs nothing, so the address has to be https"
    )
    signature_url: WebUrl | None = Field(default=None, description="The detached signature")
    keyring: str | None = Field(
        default=None,
        description="The keyring that proves the signature: a path, or a name in /usr/share/keyrings",
    )

    @model_validator(mode="after")
    def _can_prove(self) -> SumsRecipe:
        if (self.style == "detached") != (self.signature_url is not None):
            raise ValueError("'signatureUrl' belongs to the style 'detached', and only to it")
        if (self.style == "none") == (self.keyring is not None):
            raise ValueError("a signature needs a 'keyring'; without one ('none') there is nothing it proves")
        if self.style == "none" and not self.url.lower().startswith("https://"):
            raise ValueError("sums that nobody signed need an https address")
        return self

    def published(self) -> PublishedSums:
        """As the download room takes it."""
        from builder.download.checksums import PublishedSums

        return PublishedSums(self.url, self.signature_url, self.keyring, self.algorithm, self.style)


class DownloadRecipe(_Model):
    """A disk image behind an http(s) address, proved by a checksum of ours or by the publisher's sums."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["sha256"]}, {"required": ["sums"]}]},
    )

    kind: Literal["download"]
    url: WebUrl = Field(description="Where it is; an interrupted download is resumed")
    mirrors: tuple[WebUrl, ...] = Field(default=(), description="Other addresses of the same file")
    sha256: Sha256 | None = Field(default=None, description="SHA-256 of the file as downloaded")
    sums: SumsRecipe | None = Field(default=None, description="The publisher's checksums, instead of sha256")
    format: FileFormat | None = Field(default=None, description="What the file is; else its content decides")
    note: str = Field(default="", description="What to know before building on it")
    fetched: str = _Fetched

    @model_validator(mode="after")
    def _is_proved_once(self) -> DownloadRecipe:
        if (self.sha256 is None) == (self.sums is None):
            raise ValueError("give either 'sha256' or 'sums'")
        if self.sums is not None and not self.file_name:
            raise ValueError("the address ends without a file's name, by which 'sums' could call it")
        return self

    @property
    def file_name(self) -> str:
        """What the publisher's sums call it."""
        return unquote(urlsplit(self.url).path).rpartition("/")[2]


class FileRecipe(_Model):
    """A disk image on this machine."""

    kind: Literal["file"]
    path: Path = Field(description="Where it is; a relative path starts at the catalogue's folder")
    format: FileFormat | None = Field(default=None, description="What the file is; else its content decides")
    sha256: Sha256 | None = Field(default=None, description="SHA-256 of the file")


class ProvideRecipe(_Model):
    """An image that the person brings: its publisher lets nobody else hand it out."""

    kind: Literal["provide"]
    supply: str = Field(min_length=1, description="Which file to bring")
    formats: tuple[FileFormat, ...] = Field(min_length=1, description="What it may be")
    page: WebUrl | None = Field(default=None, description="Where the publisher offers it")
    iso: bool = Field(default=False, description="Whether a source of type ISO can do without this entry")
    needs: str = Field(default="", description="What must be inside")


Recipe = Annotated[BootstrapRecipe | DownloadRecipe | FileRecipe | ProvideRecipe, Field(discriminator="kind")]


def _listed(value: Any) -> Any:  # noqa: ANN401 - whatever the file holds; the model judges it
    return value if isinstance(value, list | tuple) else [value]


class _OneOrMore:
    """In the file one recipe needs no list around it; the schema has to say so."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        listed = handler(schema)
        return {"anyOf": [listed["items"], listed]}


Recipes = Annotated[tuple[Recipe, ...], Field(min_length=1), BeforeValidator(_listed), _OneOrMore]


class PlanTerms(_Model):
    """The purchase plan an image is sold under in Azure; a template's `planInfo` has to be the same."""

    name: str = Field(min_length=1, description="planName")
    product: str = Field(min_length=1, description="planProduct")
    publisher: str = Field(min_length=1, description="planPublisher")
    required: bool = Field(default=True, description="false: a template may leave planInfo out")


class CatalogueImage(_Model):
    """One publisher/offer/sku with the recipes of every version."""

    publisher: _Name = Field(description="Publisher in Azure's marketplace, or of your own")
    offer: _Name = Field(description="Offer")
    sku: _Name = Field(description="SKU")
    description: str = Field(default="", description="One line about it")
    os_type: OsType = Field(default="Linux", description="Linux or Windows")
    generation: Generation = Field(default="V1", description="V1 starts under BIOS, V2 under UEFI")
    architecture: Literal["x64", "Arm64"] = Field(default="x64", description="Only x64 can be built here")
    devices: Devices = Field(
        default_factory=lambda known: usual_devices(known.get("os_type", "Linux")),
        description="What the guest has drivers for: virtio (Linux's default), or compatible (Windows'), "
        "an AHCI disk and an e1000e network card",
    )
    user_name: str | None = Field(default=None, description="The user that the publisher's image logs in")
    plan: PlanTerms | None = Field(default=None, description="Purchase plan")
    aliases: tuple[Annotated[str, Field(pattern=r"^[^:]+:[^:]+:[^:]+$")], ...] = Field(
        default=(), description="Other names of the same image, as publisher:offer:sku"
    )
    versions: dict[_Name, Recipes] = Field(
        min_length=1, description="Recipes by version; of several the first is the default"
    )

    @property
    def key(self) -> Key:
        """What two names of the same image have in common."""
        return key_of(self.publisher, self.offer, self.sku)

    @property
    def urn(self) -> str:
        """publisher:offer:sku, as Azure's own tools print it."""
        return f"{self.publisher}:{self.offer}:{self.sku}"


class CatalogueFile(_Model):
    """A whole file."""

    model_config = ConfigDict(title="Goldsmith catalogue")

    schema_: str | None = Field(default=None, alias="$schema", description="For editors")
    format: Literal[1] = Field(description="The format's version")
    images: tuple[CatalogueImage, ...] = Field(default=(), description="The images")


Key = tuple[str, str, str]


def key_of(publisher: str, offer: str, sku: str) -> Key:
    """What spellings of one name have in common: ARM compares without case."""
    return publisher.casefold(), offer.casefold(), sku.casefold()
