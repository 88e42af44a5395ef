"""Packer's builder azure-arm."""

from __future__ import annotations

from typing import Any

from templates.packer.machine import Frame, Json, Machine, data_disks, output_name
from templates.packer.notes import NOTHING
from templates.packer.reasons import AZURE, INNER
from templates.packer.section import Section

_COMPUTE = "providers/Microsoft.Compute"
_STORAGE = ("Standard_LRS", "Standard_ZRS", "Premium_LRS")
_PLAN = (("plan_name", "planName"), ("plan_product", "planProduct"), ("plan_publisher", "planPublisher"))
_CAPTURE = ("capture_container_name", "storage_account", "resource_group_name")
_REPLICAS = ("shared_image_gallery_replica_count", "shared_gallery_image_version_replica_count")


def read_azure_arm(section: Section, frame: Frame) -> Machine:
    """Source, targets and machine of an azure-arm builder."""
    group = f"/subscriptions/{_subscription(section, frame)}/resourceGroups"
    location = section.text("location", required=True) or ""
    machine = Machine(_source(section, group), location=location)
    tags = _tags(section)
    for target in (
        _gallery(section, group, frame),
        _managed_image(section, group, frame, location or frame.scope.location),
        _vhd(section, frame),
    ):
        if target is not None:
            machine.distribute.append({**target, **({"artifactTags": tags} if tags else {})})
    if tags:
        machine.properties["managedResourceTags"] = tags
    _machine(section, machine, group)
    if group not in str(machine):
        section.explain("subscription_id", ("implied", "no id in the template needs it", NOTHING))
    section.explain("os_type", ("implied", "the source image says which system it is", NOTHING))
    section.close(AZURE)
    return machine


def _subscription(section: Section, frame: Frame) -> str:
    found = section.text("subscription_id", required=True)
    return found or frame.scope.subscription_id


def _machine(section: Section, machine: Machine, group: str) -> None:
    size = section.text("vm_size")
    if size:
        machine.vm_profile["vmSize"] = size
    disk = section.integer("os_disk_size_gb")
    if disk:
        machine.vm_profile["osDiskSizeGB"] = disk
    identities = section.texts_of("user_assigned_managed_identities")
    if identities:
        machine.vm_profile["userAssignedIdentities"] = identities
        why = "a build on this machine has no Azure identity; the field is for Azure"
        section.notes.add("changed", section.place("user_assigned_managed_identities"), why, NOTHING)
    network = ("virtual_network_resource_group_name", "virtual_network_name", "virtual_network_subnet_name")
    if all(section.has(key) for key in network):
        place, name, subnet = (section.text(key, required=True) or f"<{key}>" for key in network)
        path = f"providers/Microsoft.Network/virtualNetworks/{name}/subnets/{subnet}"
        machine.vm_profile["vnetConfig"] = {"subnetId": f"{group}/{place}/{path}"}
        why = "a build on this machine has a network of its own; the field is for Azure"
        section.notes.add("changed", section.place(network[1]), why, NOTHING)
    machine.properties |= data_disks(
        section, "disk_additional_size", section.integers("disk_additional_size")
    )


def _tags(section: Section) -> dict[str, str]:
    tags = section.mapping("azure_tags")
    for block in section.sections("azure_tag"):
        name, value = block.text("name"), block.text("value")
        if name:
            tags[name] = value or ""
        elif value:
            block.notes.add("lost", block.pointer, "a tag needs a name", "give it one")
        block.close(INNER)
    return tags


# -- where the image comes from -----------------------------------------------------------------


def _source(section: Section, group: str) -> Json:
    shared = section.section("shared_image_gallery")
    if shared is not None:
        return _gallery_source(section, shared, group)
    if section.has("custom_managed_image_name"):
        name = section.text("custom_managed_image_name", required=True)
        place = section.text("custom_managed_image_resource_group_name", required=True)
        if place is None:
            _missing(section, "custom_managed_image_resource_group_name", "the resource group of the image")
        image = f"{group}/{place or '<resourceGroup>'}/{_COMPUTE}/images/{name or '<name>'}"
        return {"type": "ManagedImage", "imageId": image}
    section.explain(
        "image_url",
        ("fill", "a blob in Azure cannot be a source", "add the disk to catalogue.json"),
    )
    source: Json = {"type": "PlatformImage"}
    for ours in ("publisher", "offer", "sku"):
        text = section.text(f"image_{ours}", required=True)
        if text is None:
            _missing(section, f"image_{ours}", f"the {ours} of the image to start from")
        source[ours] = text or f"<{ours}>"
    source["version"] = section.text("image_version") or "latest"
    why = "the image must be in the catalogue of this machine"
    advice = "'build marketplace list' shows what is there; catalogue.json takes more"
    section.notes.add("fill", section.place("image_publisher"), why, advice)
    return _with_plan(section, source)


def _with_plan(section: Section, source: Json) -> Json:
    plan = section.section("plan_info")
    if plan is None:
        return source
    info = {ours: plan.text(theirs) for theirs, ours in _PLAN}
    plan.close(INNER)
    if not all(info.values()):
        why = "a plan needs a name, a product and a publisher"
        section.notes.add("lost", plan.pointer, why, "add planInfo to the source")
        return source
    return {**source, "planInfo": info}


def _gallery_source(section: Section, shared: Section, group: str) -> Json:
    base = _other_subscription(shared, group)
    parts: list[Any] = []
    for key in ("resource_group", "gallery_name", "image_name"):
        text = shared.text(key, required=True)
        if text is None:
            _missing(shared, key, "a part of the gallery image's id")
        parts.append(text or f"<{key}>")
    version = shared.text("image_version") or "latest"
    place, gallery, image = parts
    shared.close(
        lambda key: (
            ("fill", "a gallery of somebody else cannot be reached", "bring the image into your own")
            if key.endswith("_image_id")
            else INNER(key)
        )
    )
    path = f"{base}/{place}/{_COMPUTE}/galleries/{gallery}/images/{image}/versions/{version}"
    return {"type": "SharedImageVersion", "imageVersionId": path}


def _other_subscription(shared: Section, group: str) -> str:
    own = shared.text("subscription", required=True)
    return f"/subscriptions/{own}/resourceGroups" if own else group


def _missing(section: Section, key: str, what: str) -> None:
    why = f"it is not given: {what}"
    section.notes.add("fill", section.place(key), why, "write it into the template in place of the <...>")


# -- where it goes ------------------------------------------------------------------------------


def _managed_image(section: Section, group: str, frame: Frame, location: str) -> Json | None:
    if not section.has("managed_image_name"):
        return None
    name = section.text("managed_image_name", required=True)
    place = section.text("managed_image_resource_group_name", required=True)
    if place is None:
        _missing(section, "managed_image_resource_group_name", "the resource group of the image")
    return {
        "type": "ManagedImage",
        "runOutputName": f"{frame.name[:58]}-image",
        "imageId": f"{group}/{place or '<resourceGroup>'}/{_COMPUTE}/images/{name or '<name>'}",
        "location": location,
    }


def _vhd(section: Section, frame: Frame) -> Json | None:
    if not section.has("capture_container_name") and not section.has("capture_name_prefix"):
        return None
    name = output_name(section, "capture_name_prefix", f"{frame.name[:60]}-vhd")
    why = "the VHD is a file on this machine, not a blob"
    for key in _CAPTURE:
        section.explain(key, ("changed", why, "build run --output-dir DIR"))
    return {"type": "VHD", "runOutputName": name}


def _gallery(section: Section, group: str, frame: Frame) -> Json | None:
    target = section.section("shared_image_gallery_destination")
    if target is None:
        return None
    base = _other_subscription(target, group)
    parts: list[str] = []
    for key in ("resource_group", "gallery_name", "image_name"):
        text = target.text(key, required=True)
        if text is None:
            _missing(target, key, "a part of the gallery image's id")
        parts.append(text or f"<{key}>")
    place, gallery, image = parts
    version = target.text("image_version")
    path = f"{base}/{place}/{_COMPUTE}/galleries/{gallery}/images/{image}"
    found: Json = {
        "type": "SharedImage",
        "runOutputName": f"{frame.name[:56]}-gallery",
        "galleryImageId": f"{path}/versions/{version}" if version else path,
    }
    why = "the gallery and its image definition must be there before the build"
    advice = "build gallery create, then build gallery definition create"
    section.notes.add("fill", target.pointer + "/gallery_name", why, advice)
    if section.boolean("shared_gallery_image_version_exclude_from_latest"):
        found["excludeFromLatest"] = True
    if target.boolean("use_shallow_replication"):
        found["replicationMode"] = "Shallow"
    regions = _regions(section, target)
    if regions:
        found["targetRegions"] = regions
    specialized = "images are generalized before they are distributed"
    target.explain("specialized", ("lost", specialized, "the definition must say Generalized"))
    target.close(INNER)
    return found


def _regions(section: Section, target: Section) -> list[Json]:
    """`target_region` blocks, else the older list of names with one storage and one count for all."""
    shared: Json = {}
    told: list[tuple[str, str]] = []
    for key in _REPLICAS:
        count = section.integer(key)
        if count:
            shared["replicaCount"] = count
            told.append(("replicaCount", section.place(key)))
    storage = _storage(target)
    if storage:
        shared["storageAccountType"] = storage
        told.append(("storageAccountType", target.place("storage_account_type")))
    names = target.texts_of("replication_regions")
    if target.has("target_region"):
        target.explain(
            "replication_regions", ("lost", "target_region takes its place, as in Packer", NOTHING)
        )
        names = []
    found = [{"name": name, **shared} for name in names]
    for block in target.sections("target_region"):
        name, own, count = block.text("name", required=True), _storage(block), block.integer("replicas")
        region = {**shared, **({"replicaCount": count} if count else {})}
        if own:
            region["storageAccountType"] = own
        block.close(INNER)
        if name:
            found.append({"name": name, **region})
        else:
            block.notes.add("lost", block.pointer, "a region needs a name", "give it one")
    for name, place in told:
        if all(region.get(name) != shared[name] for region in found):
            why = "it is told per region, and no region takes it from here"
            section.notes.add("lost", place, why, "look at targetRegions of the distributor")
    return found


def _storage(section: Section) -> str | None:
    text = section.plain("storage_account_type")
    if text is None or text in _STORAGE:
        return text
    why = f"a gallery version can have {', '.join(_STORAGE)}"
    section.notes.add("lost", section.place("storage_account_type"), why, "the default is Standard_LRS")
    return None
