"""Rules that no single field can tell: what fits together in an image template.

Sources: aib-template section 3 (defaults and cross-field rules), aib-behaviour sections 2 and 4.
Each part of the template (step, distributor) is checked as soon as it is valid by itself, so that a
mistake in one part hides none in another.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from templates import arm_id
from templates.channel_rules import check_channel_source, check_channel_targets
from templates.checks import parse
from templates.data_disk_rules import check_data_disks
from templates.durations import DurationError, parse_duration
from templates.iso_rules import check_iso
from templates.model import (
    Customizer,
    Distribute,
    FileStep,
    GuestAccess,
    LinuxRestartStep,
    ManagedImageDistributor,
    PlatformImageSource,
    PowerShellStep,
    ScriptStep,
    SecretRef,
    SharedImageDistributor,
    Source,
    StepExtensions,
    Validator,
    WindowsRestartStep,
    WindowsUpdateStep,
)
from templates.pointers import join
from templates.report import Report

_EXTENSIONS = "x-goldsmith"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LEAST_TIMEOUT = 6
_IMAGE_VERSION = re.compile(r"\d+(\.\d+){2,3}", re.ASCII)
_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
_SUBNET = "Microsoft.Network/virtualNetworks/subnets"


def check_properties(properties: dict[str, Any], pointer: str, report: Report) -> None:
    """Check everything below `properties`; what has no valid form itself is left to the model."""
    source_at = join(pointer, "source")
    _check_source(properties.get("source"), source_at, report)
    _check_steps(
        properties.get("customize"), join(pointer, "customize"), Customizer, "NoCustomizerScript", report
    )
    validation = properties.get("validate")
    validation = validation if isinstance(validation, dict) else {}
    steps_at = join(pointer, "validate", "inVMValidations")
    _check_steps(validation.get("inVMValidations"), steps_at, Validator, "NoValidatorScript", report)
    targets_at = join(pointer, "distribute")
    targets = properties.get("distribute")
    _check_distribute(targets, targets_at, report)
    if targets == [] and validation.get("sourceValidationOnly") is not True:
        report.error("NoDistribute", "there is no target to distribute to", targets_at)
    minutes = properties.get("buildTimeoutInMinutes")
    if isinstance(minutes, int) and 0 < minutes < _LEAST_TIMEOUT:
        message = f"a build in Azure fails with less than {_LEAST_TIMEOUT} minutes"
        report.lenient("ShortTimeout", message, join(pointer, "buildTimeoutInMinutes"))
    if validation.get("sourceValidationOnly") is True and not validation.get("inVMValidations"):
        message = "sourceValidationOnly is true, but there is nothing to validate"
        report.warn("NothingToValidate", message, join(pointer, "validate"), key=True)
    _check_profile(properties.get("vmProfile"), join(pointer, "vmProfile"), report)
    _check_workload(properties.get("optimize"), join(pointer, "optimize", "workload"), report)
    check_data_disks(properties.get("additionalDataDisks"), join(pointer, "additionalDataDisks"), report)
    extensions = properties.get(_EXTENSIONS)
    if isinstance(extensions, dict) and "access" in extensions:
        _check_access(extensions["access"], join(pointer, _EXTENSIONS, "access"), report)


def check_identity(identity: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    """Check the ids of the template's identities, and that they fit its type."""
    if not isinstance(identity, dict):
        return
    ids = identity.get("userAssignedIdentities")
    ids = ids if isinstance(ids, dict) else {}
    kind = identity.get("type")
    if kind == "UserAssigned" and not ids:
        message = "the identity is UserAssigned, but userAssignedIdentities names none"
        report.lenient("NoIdentity", message, pointer, key=True)
    if kind == "None" and ids:
        message = "the identity's type is None, but userAssignedIdentities names some"
        report.lenient("ExclusiveFields", message, join(pointer, "userAssignedIdentities"), key=True)
    for text in ids:
        _check_azure_id(text, _IDENTITY, join(pointer, "userAssignedIdentities", text), report, key=True)


# -- source and distribution --------------------------------------------------------------------


def _check_id(parser: Callable[[str], object], text: str, pointer: str, report: Report) -> None:
    try:
        parser(text)
    except arm_id.ResourceIdError as error:
        hint = error.hint
        if text.startswith("["):
            hint = "expressions count only in an ARM deployment ($schema, contentVersion, resources)"
        report.error(error.code, error.message, pointer, hint=hint)


def _check_source(data: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    source, _ = parse(Source, data)
    if source is None:
        return
    if source.type == "ManagedImage":
        _check_id(arm_id.parse_managed_image, source.image_id, join(pointer, "imageId"), report)
    elif source.type == "SharedImageVersion":
        check_channel_source(source, pointer, report)
    elif source.type == "ISO":
        _check_sha256(source.sha256_checksum, join(pointer, "sha256Checksum"), report)
        check_iso(source, pointer, report, _check_duration)
    else:
        _check_platform_image(source, pointer, report)


def _check_platform_image(source: PlatformImageSource, pointer: str, report: Report) -> None:
    for name in ("publisher", "offer", "sku"):
        if not getattr(source, name).strip():
            report.error("BadValue", f"the {name} is empty", join(pointer, name))
    if source.version and source.version != arm_id.LATEST and not _IMAGE_VERSION.fullmatch(source.version):
        message = f"'{source.version}' is no version of a marketplace image"
        hint = "a version is Major.Minor.Patch, for example 12.20240211.1654, or latest"
        report.lenient("OddVersion", message, join(pointer, "version"), hint=hint)


def _check_distribute(targets: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    seen: dict[str, str] = {}
    for index, data in enumerate(targets if isinstance(targets, list) else ()):
        at = join(pointer, index)
        name = data.get("runOutputName") if isinstance(data, dict) else None
        if isinstance(name, str) and not report.is_failed(join(at, "runOutputName")):
            if name.casefold() in seen:
                message = f"the runOutputName '{name}' is used twice"
                hint = f"its first use is {seen[name.casefold()]}"
                report.error("DuplicateRunOutput", message, join(at, "runOutputName"), hint=hint)
            seen.setdefault(name.casefold(), join(at, "runOutputName"))
        target, _ = parse(Distribute, data)
        if isinstance(target, ManagedImageDistributor):
            _check_id(arm_id.parse_managed_image, target.image_id, join(at, "imageId"), report)
            if not target.location.strip():
                report.error("BadValue", "the location is empty", join(at, "location"))
        elif isinstance(target, SharedImageDistributor):
            _check_id(arm_id.parse_gallery_image, target.gallery_image_id, join(at, "galleryImageId"), report)
            _check_regions(target, at, report)
            check_channel_targets(target, at, report)


def _check_regions(target: SharedImageDistributor, pointer: str, report: Report) -> None:
    if target.target_regions is not None and target.replication_regions is not None:
        message = "targetRegions and replicationRegions exclude each other"
        hint = "keep targetRegions; replicationRegions is deprecated"
        report.error("ExclusiveFields", message, join(pointer, "replicationRegions"), hint=hint, key=True)
    if target.storage_account_type is not None and target.replication_regions is None:
        message = "storageAccountType may only stand beside replicationRegions"
        hint = "write it into each entry of targetRegions"
        report.error("ExclusiveFields", message, join(pointer, "storageAccountType"), hint=hint, key=True)
    new, old = target.target_regions or (), target.replication_regions or ()
    places = [(region.name, join(pointer, "targetRegions", i, "name")) for i, region in enumerate(new)]
    places += [(name, join(pointer, "replicationRegions", i)) for i, name in enumerate(old)]
    seen: set[str] = set()
    for name, at in places:
        region = name.replace(" ", "").casefold()  # "West US 2" is westus2
        if not region:
            report.error("BadValue", "the name of a region is empty", at)
        elif region in seen:
            report.error("DuplicateRegion", f"the region '{name}' stands twice in this target", at)
        seen.add(region)


# -- what only Azure has: mistakes there spoil nothing here, so they are warnings unless strict -----


def _check_profile(profile: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    if not isinstance(profile, dict):
        return
    ids = profile.get("userAssignedIdentities")
    for index, text in enumerate(ids if isinstance(ids, list) else ()):
        _check_azure_id(text, _IDENTITY, join(pointer, "userAssignedIdentities", index), report)
    _check_network(profile.get("vnetConfig"), join(pointer, "vnetConfig"), report)


def _check_network(network: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    if not isinstance(network, dict):
        return
    subnet = _check_azure_id(network.get("subnetId"), _SUBNET, join(pointer, "subnetId"), report)
    if not network.get("containerInstanceSubnetId"):
        return
    at = join(pointer, "containerInstanceSubnetId")
    container = _check_azure_id(network["containerInstanceSubnetId"], _SUBNET, at, report)
    if not network.get("subnetId"):
        report.error("ExclusiveFields", "containerInstanceSubnetId needs subnetId", at, key=True)
    if network.get("proxyVmSize"):
        message = "proxyVmSize and containerInstanceSubnetId exclude each other"
        report.error("ExclusiveFields", message, join(pointer, "proxyVmSize"), key=True)
    if subnet is not None and subnet == container:
        report.error("BadSubnet", "containerInstanceSubnetId must be another subnet than subnetId", at)
    elif subnet is not None and container is not None and subnet.parent != container.parent:
        message = "containerInstanceSubnetId must lie in the virtual network of subnetId"
        report.error("BadSubnet", message, at)


def _check_azure_id(
    text: Any,  # noqa: ANN401 - any JSON value
    kind: str,
    pointer: str,
    report: Report,
    *,
    key: bool = False,
) -> arm_id.ResourceId | None:
    """The id of a resource of Azure's that has no meaning here; None where it is none."""
    if not isinstance(text, str) or not text or "<" in text:
        return None
    try:
        found = arm_id.ResourceId.parse(text)
    except arm_id.ResourceIdError as error:
        report.lenient(error.code, error.message, pointer, hint=error.hint, key=key)
        return None
    if not found.is_a(kind):
        message = f"'{text}' is the id of a {found.type}, not of a {kind}"
        report.lenient("BadResourceId", message, pointer, key=key)
        return None
    return found


def _check_workload(optimize: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    workload = optimize.get("workload") if isinstance(optimize, dict) else None
    if isinstance(workload, dict) and isinstance(workload.get("sha256Checksum"), str):
        _check_sha256(workload["sha256Checksum"], join(pointer, "sha256Checksum"), report)


# -- steps ----------------------------------------------------------------------------------------


def _check_steps(steps: Any, pointer: str, union: Any, no_script: str, report: Report) -> None:  # noqa: ANN401
    for index, data in enumerate(steps if isinstance(steps, list) else ()):
        at = join(pointer, index)
        if not isinstance(data, dict):
            continue
        if _EXTENSIONS in data:
            _check_extensions(_readable(data[_EXTENSIONS]), join(at, _EXTENSIONS), report)
        step, _ = parse(union, {key: value for key, value in data.items() if key != _EXTENSIONS})
        if step is None:
            continue
        if isinstance(step, ScriptStep):
            _check_script(step, at, no_script, report)
        if isinstance(step, FileStep):
            for name, value in (("sourceUri", step.source_uri), ("destination", step.destination)):
                if not value and not report.is_failed(join(at, name)):
                    report.error("MissingField", f"a File step needs '{name}'", at)
        if isinstance(step, WindowsRestartStep | LinuxRestartStep):
            _check_duration(step.restart_timeout, join(at, "restartTimeout"), report)
        if isinstance(step, WindowsUpdateStep):
            _check_filters(step.filters, join(at, "filters"), report)
        if isinstance(step, ScriptStep | FileStep):
            _check_sha256(step.sha256_checksum, join(at, "sha256Checksum"), report)


def _check_filters(filters: list[str], pointer: str, report: Report) -> None:
    for index, text in enumerate(filters):
        action, colon, expression = text.partition(":")
        named = bool(colon) and action.strip().casefold() in ("include", "exclude")
        if not (expression if named else text).strip():
            hint = "a filter is include:EXPRESSION or exclude:EXPRESSION, for example include:$true"
            report.error("BadFilter", f"'{text}' is no filter of updates", join(pointer, index), hint=hint)
        elif not named:  # as an example of Microsoft's has it
            message = f"the filter '{text}' does not say include or exclude; it is taken for include"
            report.warn("BareFilter", message, join(pointer, index), hint=f"write include:{text}")


def _check_script(step: ScriptStep, pointer: str, no_script: str, report: Report) -> None:
    if report.has_failures(join(pointer, "inline")) or report.has_failures(join(pointer, "scriptUri")):
        return
    if step.inline and step.script_uri:
        message = "inline and scriptUri exclude each other"
        hint = "split them into two steps"
        report.error("ExclusiveFields", message, join(pointer, "scriptUri"), hint=hint, key=True)
    elif not step.inline and not step.script_uri:
        report.error(
            no_script,
            f"the {_kind(step)} step has neither inline nor scriptUri",
            pointer,
            hint='add "inline": ["command"]',
        )
    if step.sha256_checksum and not step.script_uri:
        message = "sha256Checksum checks what scriptUri names; inline has no use for it"
        report.warn("UnusedChecksum", message, join(pointer, "sha256Checksum"), key=True)
    if isinstance(step, PowerShellStep) and step.run_as_system and not step.run_elevated:
        hint = 'add "runElevated": true'
        report.error(
            "NeedsElevation",
            "runAsSystem needs runElevated",
            join(pointer, "runAsSystem"),
            hint=hint,
            key=True,
        )


def _kind(step: ScriptStep) -> str:
    return str(getattr(step, "type", "script"))


def _check_sha256(checksum: str | None, pointer: str, report: Report) -> None:
    if not checksum or _SHA256.fullmatch(checksum):
        return
    lowered = checksum.strip().casefold()
    hint = f"write {lowered}" if _SHA256.fullmatch(lowered) else "it is what sha256sum prints"
    report.error("BadChecksum", "a sha256Checksum is 64 lower-case hex digits", pointer, hint=hint)


def _check_duration(text: str, pointer: str, report: Report) -> None:
    if not text:
        return
    try:
        parse_duration(text)
    except DurationError as error:
        report.error(error.code, error.message, pointer, hint=error.hint)


def _readable(data: Any) -> StepExtensions:  # noqa: ANN401 - any JSON value
    """What can be read of a step's extensions: a mistake in one must not hide that in another."""
    extensions, problems = parse(StepExtensions, data)
    if isinstance(extensions, StepExtensions):
        return extensions
    if not isinstance(data, dict):
        return StepExtensions()
    good = copy.deepcopy(data)
    for first, *rest in (problem["loc"] for problem in problems):
        owner = good.get(first)
        if rest and isinstance(owner, dict):
            owner.pop(rest[0], None)
        else:
            good.pop(first, None)
    extensions, _ = parse(StepExtensions, good)
    return extensions if isinstance(extensions, StepExtensions) else StepExtensions()


def _check_extensions(extensions: StepExtensions, pointer: str, report: Report) -> None:
    _check_duration(extensions.timeout or "", join(pointer, "timeout"), report)
    if extensions.cache not in ("auto", "never"):
        _check_duration(extensions.cache, join(pointer, "cache"), report)
    for section, names in (("env", extensions.env), ("secrets", extensions.secrets)):
        for name in names:
            if not _ENV_NAME.fullmatch(name):
                at = join(pointer, section, name)
                hint = "letters, digits and '_', not starting with a digit"
                report.error(
                    "BadEnvName", f"'{name}' cannot be the name of a variable", at, hint=hint, key=True
                )
    for name, secret in extensions.secrets.items():
        at = join(pointer, "secrets", name)
        if name in extensions.env:
            report.error("ExclusiveFields", f"'{name}' stands in env and in secrets", at, key=True)
        _check_secret(secret, name, at, report)


def _check_secret(secret: SecretRef, name: str, pointer: str, report: Report) -> None:
    ways = [way for way in (secret.env, secret.file, secret.command) if way is not None]
    if len(ways) != 1:
        message = f"the secret '{name}' needs exactly one of env, file and command; it has {len(ways)}"
        report.error("BadSecret", message, pointer)
    elif not ways[0] or (secret.command is not None and not secret.command[0]):
        report.error("BadSecret", f"the secret '{name}' does not say where it comes from", pointer)


def _check_access(data: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    access, _ = parse(GuestAccess, data)
    if not isinstance(access, GuestAccess):
        return  # said by the model
    given = [
        (name, secret)
        for name, secret in (("privateKey", access.private_key), ("password", access.password))
        if secret is not None
    ]
    for name, secret in given:
        _check_secret(secret, name, join(pointer, name), report)
    if len(given) != 1:
        hint = 'for example "privateKey": {"file": "~/.ssh/windows"}'
        message = f"access needs exactly one of privateKey and password; it has {len(given)}"
        report.error("BadAccess", message, pointer, hint=hint)
