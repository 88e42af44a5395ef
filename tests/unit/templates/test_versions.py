"""Every line of the table of API versions, held against the published schemas."""

from __future__ import annotations

from typing import Any, get_args, get_origin

import pytest
from published import objects, require_shared_data, tags

from templates import history
from templates import model as m
from templates.model.base import StepExtensions
from templates.model.image_template import (
    AutoRun,
    DataDisk,
    Identity,
    TemplateExtensions,
    VmBoot,
    Workload,
)
from templates.model.walk import fields_of, members, models_of, tag_of
from templates.versions import KNOWN

# Definition of the schemas -> our model. Validators are customizers with another birthday.
MODELS: dict[str, type] = {
    "imageTemplates": m.ImageTemplate,
    "ImageTemplateProperties": m.Properties,
    "ImageTemplateIsoSource": m.IsoSource,
    "ImageTemplatePlatformImageSource": m.PlatformImageSource,
    "ImageTemplateManagedImageSource": m.ManagedImageSource,
    "ImageTemplateSharedImageVersionSource": m.SharedImageVersionSource,
    "PlatformImagePurchasePlan": m.PlanInfo,
    "ImageTemplateShellCustomizer": m.ShellStep,
    "ImageTemplatePowerShellCustomizer": m.PowerShellStep,
    "ImageTemplateFileCustomizer": m.FileStep,
    "ImageTemplateRestartCustomizer": m.WindowsRestartStep,
    "ImageTemplateWindowsUpdateCustomizer": m.WindowsUpdateStep,
    "ImageTemplateShellValidator": m.ShellStep,
    "ImageTemplatePowerShellValidator": m.PowerShellStep,
    "ImageTemplateFileValidator": m.FileStep,
    "ImageTemplateManagedImageDistributor": m.ManagedImageDistributor,
    "ImageTemplateSharedImageDistributor": m.SharedImageDistributor,
    "ImageTemplateVhdDistributor": m.VhdDistributor,
    "TargetRegion": m.TargetRegion,
    "DistributeVersionerLatest": m.LatestVersioning,
    "DistributeVersionerSource": m.SourceVersioning,
    "ImageTemplateVmProfile": m.VmProfile,
    "VirtualNetworkConfig": m.VnetConfig,
    "ImageTemplatePropertiesValidate": m.Validate,
    "ImageTemplatePropertiesErrorHandling": m.ErrorHandling,
    "ImageTemplatePropertiesOptimize": m.Optimize,
    "ImageTemplatePropertiesOptimizeVmBoot": VmBoot,
    "ImageTemplatePropertiesOptimizeWorkload": Workload,
    "ImageTemplateAutoRun": AutoRun,
    "ImageTemplateIdentity": Identity,
    "DataDisk": DataDisk,
}
UNIONS = {
    "ImageTemplateSource": m.Source,
    "ImageTemplateCustomizer": m.Customizer,
    "ImageTemplateDistributor": m.Distribute,
    "ImageTemplateInVMValidator": m.Validator,
    "DistributeVersioner": m.LatestVersioning | m.SourceVersioning,
}
# In the schemas, and nothing of the template: nested triggers are a resource of their own.
NO_FIELDS = {"imageTemplates": {"resources"}}
# `x-goldsmith`, which no schema has.
OURS = {
    StepExtensions,
    TemplateExtensions,
    m.GalleryVersionExtensions,
    m.IsoExtensions,
    m.SharedImageExtensions,
}
# The newest models require more than the schemas do, since nothing can be built without.
WE_REQUIRE = {m.PlatformImageSource: {"publisher", "offer", "sku"}}


@pytest.fixture(autouse=True)
def _data() -> None:
    require_shared_data()


def fields_in(model: type, version: str) -> set[str]:
    """What the table says a model's fields were in `version`, in the spelling of then."""
    found = set()
    for name, field in fields_of(model).items():
        inner = models_of(field.annotation)
        if OURS.intersection(inner):
            continue
        if history.FIELDS.get(model, {}).get(name, "") <= version:
            found.add(name)
    for spelling in history.SPELLINGS.get(model, ()):
        if version in spelling.native:
            found = (found - {spelling.new}) | {spelling.old}
    return found


@pytest.mark.parametrize("version", KNOWN)
def test_fields_of_every_version(version):
    expected = {
        name: set(known["properties"]) - NO_FIELDS.get(name, set())
        for name, known in objects(version).items()
        if name in MODELS
    }
    assert {name: fields_in(MODELS[name], version) for name in expected} == expected


@pytest.mark.parametrize("version", KNOWN)
def test_types_of_every_version(version):
    for name, union in UNIONS.items():
        if not _has(version, name):
            continue
        born = history.VALIDATORS if name == "ImageTemplateInVMValidator" else history.TYPES
        found = {}
        for model in models_of(union):
            tag = tag_of(model)
            if tag is None or tag[1].startswith("x-") or history.REMOVED.get(model, "9") <= version:
                continue
            spelling = history.TYPE_SPELLINGS.get(model)
            if spelling is not None and version in spelling.native:
                found[spelling.old] = model
            elif born.get(model, "") <= version:
                found[tag[1]] = model
        assert found == {value: MODELS[target] for value, target in tags(version, name).items()}, name


def _has(version: str, name: str) -> bool:
    try:
        tags(version, name)
    except KeyError:
        return False
    return True


@pytest.mark.parametrize("version", KNOWN)
def test_required_fields_of_every_version(version):
    for name, known in objects(version).items():
        if name not in MODELS:
            continue
        model = MODELS[name]
        ours = {n for n, field in fields_of(model).items() if field.is_required()}
        ours -= WE_REQUIRE.get(model, set())
        for field, until in history.ONCE_REQUIRED.get(model, {}).items():
            ours |= {field} if version < until else set()
        if model is m.ImageTemplate:  # these have defaults here, and are asked for by the reader
            ours |= {"location"} | ({"identity"} if version >= history.IDENTITY_REQUIRED else set())
        old = {s.new: s.old for s in history.SPELLINGS.get(model, ()) if version in s.native}
        assert {old.get(field, field) for field in ours} == known["required"], name


def test_the_table_names_nothing_that_is_not_there():
    for model, fields in history.FIELDS.items():
        assert set(fields) <= set(fields_of(model)), model
    for model, spellings in history.SPELLINGS.items():
        assert {spelling.new for spelling in spellings} <= set(fields_of(model)), model
    for model, spelling in history.TYPE_SPELLINGS.items():
        assert tag_of(model) == ("type", spelling.new)


@pytest.mark.parametrize("version", KNOWN)
def test_words_and_limits_of_every_version(version):
    """Choices, least and greatest numbers and patterns: ours are those of the schemas."""
    for name, known in objects(version).items():
        model = MODELS.get(name)
        for field, rule in known["properties"].items() if model else ():
            ours = fields_of(model).get(field)
            literal = rule["oneOf"][0] if "oneOf" in rule else rule
            if ours is None or field in ("type", "scheme", "apiVersion"):
                continue
            if "enum" in literal:
                assert _words(model, field, ours.annotation, version) == set(literal["enum"]), (name, field)
            limits = {type(rule).__name__: rule for rule in ours.metadata}
            least = getattr(limits.get("Ge"), "ge", None)
            most = getattr(limits.get("Le"), "le", None)
            assert (least, most) == (literal.get("minimum"), literal.get("maximum")), (name, field)


def _words(model: type, field: str, annotation: Any, version: str) -> set[str]:
    words = {w for part in members(annotation) if get_origin(part) is not None for w in get_args(part)}
    return {word for word in words if history.VALUES.get((model, field, word), "") <= version}
