"""Image definitions: what their images are is fixed; what is said about them may change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from builder.errors import ConflictError, NotFoundError
from builder.registry import rules
from builder.registry.galleries import DECLARE_HINT, NESTED
from builder.registry.part import Part, arm_key, in_subscription, not_found, now, same_region, typed
from builder.registry.records import DefinitionRecord
from builder.registry.schema import DefinitionRow, GalleryRow, VersionRow
from templates.arm_id import DEFINITION_TYPE, ResourceId
from templates.gallery_rules import features_of, generation_of
from templates.model import Model
from templates.model.gallery import DefinitionProperties, ImageDefinition


class Definitions(Part):
    """The registry's part for image definitions."""

    def create_definition(
        self, definition: ImageDefinition, *, default_location: str | None = None
    ) -> DefinitionRecord:
        """Make an image definition, or update what may change of one that is there.

        Raises BadNameError, BadValueError, QuotaError, NotFoundError without its gallery, ConflictError with
        Azure's message when a fixed property differs or the publisher/offer/sku triple is taken.
        """
        resource = typed(definition.id, DEFINITION_TYPE)
        wanted = definition.properties.identifier
        rules.check_definition_name(resource.name)
        rules.check_identifier(wanted.publisher, wanted.offer, wanted.sku)
        rules.check_definition(definition)
        with self._db.write() as session:
            gallery = session.get(GalleryRow, resource.parent.key if resource.parent else "")
            if gallery is None:
                raise NotFoundError(
                    "Can not perform requested operation on nested resource. Parent resource "
                    f"'{resource.names[0]}' not found.",
                    details=(str(resource.parent),),
                    hint=DECLARE_HINT,
                )
            row = session.get(DefinitionRow, resource.key)
            if row is None:
                _refuse_same_triple(session, gallery.key, definition)
                location = rules.check_region(definition.location or default_location or gallery.location)
                self.limits.check("definitions", _count(session, resource, location), location)
                row = _new(resource, gallery, definition, location)
                session.add(row)
            else:
                _refuse_changes(row, definition)
            _describe(row, definition)
            return _definition(row)

    def find_definition(self, arm_id: str) -> DefinitionRecord:
        """The definition with that id. Raises NotFoundError."""
        resource = typed(arm_id, DEFINITION_TYPE)
        with self._db.read() as session:
            row = session.get(DefinitionRow, resource.key)
            if row is None:
                raise not_found(resource, DECLARE_HINT)
            return _definition(row)

    def list_definitions(self, gallery_id: str | None = None) -> list[DefinitionRecord]:
        """The definitions of one gallery or of all, by name."""
        query = select(DefinitionRow).join(GalleryRow).order_by(GalleryRow.name_key, DefinitionRow.key)
        if gallery_id is not None:
            query = query.where(DefinitionRow.gallery_key == arm_key(gallery_id))
        with self._db.read() as session:
            return [_definition(row) for row in session.scalars(query)]

    def delete_definition(self, arm_id: str) -> DefinitionRecord:
        """Forget a definition without versions. Raises NotFoundError, ConflictError."""
        resource = typed(arm_id, DEFINITION_TYPE)
        with self._db.write() as session:
            row = session.get(DefinitionRow, resource.key)
            if row is None:
                raise not_found(resource)
            query = select(func.count()).where(VersionRow.definition_key == row.key)
            count = session.scalar(query.select_from(VersionRow)) or 0
            if count:
                details = (f"{count} image version(s) of {row.gallery.name}/{row.name}",)
                raise ConflictError(
                    NESTED, details=details, hint="Delete its versions first, or use --force."
                )
            session.delete(row)
            return _definition(row)


def _count(session: Session, resource: ResourceId, location: str) -> int:
    query = select(func.count()).select_from(DefinitionRow)
    query = query.where(
        in_subscription(DefinitionRow.key, resource), same_region(DefinitionRow.location, location)
    )
    return session.scalar(query) or 0


def _triple(definition: ImageDefinition) -> str:
    wanted = definition.properties.identifier
    return "/".join((wanted.publisher, wanted.offer, wanted.sku)).casefold()


def _refuse_same_triple(session: Session, gallery_key: str, definition: ImageDefinition) -> None:
    query = select(DefinitionRow).where(
        DefinitionRow.gallery_key == gallery_key, DefinitionRow.triple == _triple(definition)
    )
    other = session.scalars(query).first()
    if other is not None:
        raise ConflictError(
            f"Gallery image: {other.name} identified by (publisher:{other.publisher}, offer:{other.offer}, "
            f"sku:{other.sku}) already exists. Choose a different publisher, offer, sku combination."
        )


def _refuse_changes(row: DefinitionRow, definition: ImageDefinition) -> None:
    properties, triple = definition.properties, definition.properties.identifier
    fixed: list[tuple[str, object, object]] = [
        ("osType", row.os_type, properties.os_type),
        ("osState", row.os_state, properties.os_state),
        ("architecture", row.architecture, properties.architecture),
        ("identifier.publisher", row.publisher, triple.publisher),
        ("identifier.offer", row.offer, triple.offer),
        ("identifier.sku", row.sku, triple.sku),
        ("purchasePlan", row.plan, _json(properties.purchase_plan)),
    ]
    # What is not said is whatever it was when the definition was made.
    if _says(definition, "hyper_v_generation"):
        fixed.append(("hyperVGeneration", row.generation, properties.hyper_v_generation))
    if _says(definition, "features") and not properties.allow_update_image:
        fixed.append(("features", _by_name(row.features), _by_name(_features(definition))))
    for name, old, new in fixed:
        if _folded(old) != _folded(new):
            hint = "Use another definition, or delete this one and its versions first."
            if name == "features":
                hint = "Set allowUpdateImage (--allow-update-image) to change the features."
            raise ConflictError(
                f"Changing property 'galleryImage.properties.{name}' is not allowed",
                details=(row.id, f"is {old or 'nothing'}, asked for {new or 'nothing'}"),
                hint=hint,
            )


def _says(definition: ImageDefinition, field: str) -> bool:
    """Whether whoever wants the definition gave the field: a default is nobody's wish."""
    return field in definition.properties.model_fields_set


def _features(definition: ImageDefinition) -> list[dict[str, Any]]:
    return [_json(feature) or {} for feature in features_of(definition)]


def _by_name(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(features, key=lambda feature: str(feature.get("name")))


def _folded(value: object) -> object:
    """Azure compares without case."""
    return json.dumps(value, sort_keys=True).casefold()


def _json(model: Model | None) -> dict[str, Any] | None:
    return None if model is None else model.model_dump(mode="json", by_alias=True, exclude_none=True)


def _describe(row: DefinitionRow, definition: ImageDefinition) -> None:
    """Set what may change."""
    properties = definition.properties
    if properties.end_of_life_date != row.end_of_life:
        rules.check_end_of_life(properties.end_of_life_date, datetime.now(UTC))
    if properties.allow_update_image and _says(definition, "features"):
        row.features = _features(definition)
    row.description = properties.description
    row.end_of_life = properties.end_of_life_date
    row.eula = properties.eula
    row.privacy_statement_uri = properties.privacy_statement_uri
    row.release_note_uri = properties.release_note_uri
    row.recommended, row.disallowed = _json(properties.recommended), _json(properties.disallowed)
    row.tags = dict(definition.tags)


def _new(
    resource: ResourceId, gallery: GalleryRow, definition: ImageDefinition, location: str
) -> DefinitionRow:
    properties = definition.properties
    return DefinitionRow(
        key=resource.key,
        id=str(resource),
        name=resource.name,
        gallery=gallery,
        gallery_key=gallery.key,
        location=location,
        os_type=properties.os_type,
        os_state=properties.os_state,
        generation=generation_of(definition),
        architecture=properties.architecture,
        publisher=properties.identifier.publisher,
        offer=properties.identifier.offer,
        sku=properties.identifier.sku,
        triple=_triple(definition),
        features=_features(definition),
        plan=_json(properties.purchase_plan),
        created_at=now(),
        created_by="",
    )


def properties_of(said: Mapping[str, Any]) -> DefinitionProperties:
    """The properties as a template says them, checked. Raises BadValueError that names the field."""
    try:
        return DefinitionProperties.model_validate(said)
    except ValidationError as error:
        lines = [f"properties.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise rules.BadValueError(
            f"The image definition cannot be so: {lines[0]}.", details=tuple(lines[1:])
        ) from error


def as_declared(record: DefinitionRecord) -> ImageDefinition:
    """The definition as a template would declare it: to change a part of it and give it back."""
    properties = {
        "osType": record.os_type,
        "osState": record.os_state,
        "hyperVGeneration": record.generation,
        "architecture": record.architecture,
        "identifier": {"publisher": record.publisher, "offer": record.offer, "sku": record.sku},
        "features": [dict(feature) for feature in record.features],
        "description": record.description,
        "endOfLifeDate": record.end_of_life,
        "eula": record.eula,
        "privacyStatementUri": record.privacy_statement_uri,
        "releaseNoteUri": record.release_note_uri,
        "recommended": record.recommended,
        "disallowed": record.disallowed,
        "purchasePlan": record.plan,
    }
    return ImageDefinition(
        id=record.id,
        name=record.name,
        location=record.location,
        tags=dict(record.tags),
        properties=DefinitionProperties.model_validate(properties),
    )


def _definition(row: DefinitionRow) -> DefinitionRecord:
    return DefinitionRecord(
        id=row.id,
        name=row.name,
        gallery_id=row.gallery.id,
        gallery_name=row.gallery.name,
        location=row.location,
        os_type=cast("Any", row.os_type),
        os_state=cast("Any", row.os_state),
        generation=cast("Any", row.generation),
        architecture=row.architecture,
        publisher=row.publisher,
        offer=row.offer,
        sku=row.sku,
        features=tuple(cast("list[Mapping[str, Any]]", row.features)),
        description=row.description,
        end_of_life=row.end_of_life,
        plan=row.plan,
        tags=dict(row.tags),
        created_at=row.created_at,
        created_by=row.created_by,
        eula=row.eula,
        privacy_statement_uri=row.privacy_statement_uri,
        release_note_uri=row.release_note_uri,
        recommended=row.recommended,
        disallowed=row.disallowed,
    )
