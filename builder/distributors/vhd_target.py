"""`VHD`: which distributor a `uri` asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.blob.address import is_blob_address
from builder.distributors.blob_vhd import BlobVhdDistributor
from builder.distributors.vhd import VhdDistributor

if TYPE_CHECKING:
    from builder.distributors.base import Distributor
    from builder.services import Services
    from templates.model.distribute import VhdDistributor as VhdModel


def vhd_target(model: VhdModel, services: Services) -> Distributor:
    """A page blob for an https address, else a file."""
    kind = BlobVhdDistributor if is_blob_address(model.uri) else VhdDistributor
    return kind(model, services)
