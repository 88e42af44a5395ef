"""Finding a build's route: what it would make of layers, held against what the cache has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import UsageError
from builder.layers.cache import Cache
from builder.layers.identity import layer_id
from builder.layers.route import Known, LinkSpec, Route, Wishes, find_route, image_of, make_links
from builder.layers.soundness import image_is_sound
from builder.plan import step_name
from builder.vm import accelerator as accelerators
from builder.vm.identity import machine_key
from provisioners.deprovision import default_script
from templates.durations import parse_duration

if TYPE_CHECKING:
    from builder.layers.finished import FinishedLayer
    from builder.plan import StepInputs
    from builder.services import Services
    from builder.sources.base import ResolvedSource
    from builder.vm.sizes import MachineSize
    from templates.model import ImageTemplate, Step

GIB = 1024**3


@dataclass(frozen=True)
class Routing:
    """The route, and what it was found with. `validation_id` identifies the validations; "" when they are
    to run in every build.
    """

    route: Route
    cache: Cache
    machine_key: str
    validation_id: str


def find(
    template: ImageTemplate,
    source: ResolvedSource,
    customizers: Sequence[StepInputs],
    validators: Sequence[StepInputs],
    services: Services,
    machine: MachineSize,
    wishes: Wishes,
    *,
    source_size: int,
) -> Routing:
    """Decide which layers are used and made. `source_size` is the disk's, in bytes; 0: not known yet."""
    cache = Cache.of(services.home, services.settings)
    checks = template.properties.validation
    why_not = _why_not(template, source, source_size)
    if why_not or (checks and checks.source_validation_only):
        return Routing(Route(why_not=why_not), cache, "", "")
    properties = template.properties
    wanted = properties.vm_profile.os_disk_size_gb * GIB
    boot = {
        "generation": source.generation,
        "network": str(properties.extensions.network),
        "deprovision": default_script(source.os_type)[1],  # it lies in the guest from the start
    }
    links = make_links(
        source.identity,
        boot,
        wanted if wanted > source_size else 0,
        [
            _spec(step, number, facts)
            for number, (step, facts) in enumerate(zip(properties.customize, customizers, strict=True), 1)
        ],
    )
    image_id = image_of(links, {"osType": source.os_type})
    known = Known(
        cache.layers.chain([link.id for link in links]),
        _image(cache, image_id, services),
        lambda parent: [layer for layer in cache.layers.all() if layer.meta.parent == parent],
    )
    key = _machine_key(template, source, services, machine)
    route = find_route(links, image_id, known, key, wishes)
    return Routing(route, cache, key, _validation_id(checks.in_vm_validations if checks else (), validators))


def step_number(template: ImageTemplate, wanted: str | None) -> int:
    """The customizer that `--from` names, counted from 1; 0 for none. Raises UsageError listing them."""
    if wanted is None:
        return 0
    names = [step_name(step, number) for number, step in enumerate(template.properties.customize, start=1)]
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= len(names):
        return int(wanted)
    folded = [name.casefold() for name in names]
    if wanted.casefold() in folded:
        return folded.index(wanted.casefold()) + 1
    raise UsageError(
        f"--from {wanted}: the template '{template.name}' has no such customizer.",
        details=tuple(f"{number}. {name}" for number, name in enumerate(names, start=1)),
        hint="Give a number or a name of these." if names else "It has no customizers at all.",
    )


def _why_not(template: ImageTemplate, source: ResolvedSource, source_size: int) -> str:
    if source.os_type != "Linux":
        return "Windows guests have no layers"
    if template.properties.additional_data_disks or source.data_disks:
        return "the image has data disks"
    if not source.identity:
        return "the source is not made yet"
    if not source_size and template.properties.vm_profile.os_disk_size_gb:
        return "the size of the source is not known yet"
    return ""


def _image(cache: Cache, image_id: str, services: Services) -> FinishedLayer | None:
    image = cache.finished.find(image_id)
    if image is None or image_is_sound(image):
        return image
    services.bus.warn(
        "The finished image in the cache is not what was written (this machine may have lost its power); "
        "it is made again.",
        code="DamagedImage",
    )
    return None


def _spec(step: Step, number: int, facts: StepInputs) -> LinkSpec:
    cache = step.extensions.cache
    age = None if cache in ("auto", "never") else parse_duration(cache)
    kind = str(getattr(step, "type", ""))
    return LinkSpec(kind, step_name(step, number), facts.epoch, facts.inputs, cache == "never", age)


def _validation_id(steps: Sequence[Step], facts: Sequence[StepInputs]) -> str:
    found = layer_id("", "validation", 1, {})
    for step, one in zip(steps, facts, strict=True):
        if step.extensions.cache != "auto":
            return ""
        found = layer_id(found, str(getattr(step, "type", "")), one.epoch, one.inputs)
    return found


def _machine_key(
    template: ImageTemplate, source: ResolvedSource, services: Services, machine: MachineSize
) -> str:
    accelerator = accelerators.remembered(services.settings, services.home)
    if accelerator is None:
        if services.read_only:  # trying KVM out boots a guest
            return ""
        accelerator = accelerators.choose(services.settings, services.home)
    return machine_key(
        services.home,
        accelerator,
        cpus=machine.cpus,
        memory_mib=machine.memory_mib,
        generation=source.generation,
        os_type=source.os_type,
        devices=source.devices,
        network=template.properties.extensions.network,
    )
