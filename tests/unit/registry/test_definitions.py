from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from builder.errors import ConflictError, NotFoundError
from builder.registry.definitions import as_declared
from builder.registry.rules import BadValueError
from builder.registry.store import Registry
from registry.conftest import GALLERY, GROUP, WEB, definition, gallery
from templates.model.gallery import Feature

SECURE = Feature(name="SecurityType", value="TrustedLaunchSupported")
PLAN = {"name": "gold", "publisher": "acme", "product": "web"}
SAID = {
    "description": "new",
    "end_of_life_date": "2999-01-01",
    "eula": "be kind",
    "privacy_statement_uri": "https://acme.test/privacy",
    "release_note_uri": "https://acme.test/notes",
    "recommended": {"vCPUs": {"min": 2, "max": 8}, "memory": {"min": 4}},
    "disallowed": {"diskTypes": ["Standard_LRS"]},
}


def test_a_definition_needs_its_gallery(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match=r"Parent resource 'Team\.gallery' not found") as caught:
        registry.create_definition(definition())
    assert "build gallery create" in (caught.value.hint or "")


def test_a_definition_is_made_once_and_described_again(web: Registry) -> None:
    before = web.find_definition(WEB)
    assert before.label == "Team.gallery/web"
    assert before.location == "West US"
    again = web.create_definition(definition(WEB.upper(), "ME:Web:1", description="new", tags={"x": "y"}))
    assert (again.description, again.tags, again.publisher) == ("new", {"x": "y"}, "me")
    assert again.created_at == before.created_at
    assert web.list_definitions(GALLERY) == [again]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"os_type": "Windows"}, "osType"),
        ({"os_state": "Specialized"}, "osState"),
        ({"hyper_v_generation": "V2"}, "hyperVGeneration"),
        ({"architecture": "Arm64"}, "architecture"),
        ({"purchase_plan": PLAN}, "purchasePlan"),
        ({"features": [Feature(name="IsHibernateSupported", value="True")]}, "features"),
        ({"triple": "you:web:1"}, "identifier.publisher"),
        ({"triple": "me:app:1"}, "identifier.offer"),
        ({"triple": "me:web:2"}, "identifier.sku"),
    ],
)
def test_what_may_not_change(web: Registry, changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ConflictError) as caught:
        web.create_definition(definition(**changes))
    assert caught.value.message == f"Changing property 'galleryImage.properties.{name}' is not allowed"


def test_the_triple_is_unique_in_its_gallery(web: Registry) -> None:
    with pytest.raises(ConflictError) as caught:
        web.create_definition(definition(f"{GALLERY}/images/web2", "Me:WEB:1"))
    assert caught.value.message == (
        "Gallery image: web identified by (publisher:me, offer:web, sku:1) already exists. "
        "Choose a different publisher, offer, sku combination."
    )
    other = f"{GROUP}/galleries/other"
    web.create_gallery(gallery(other))
    assert web.create_definition(definition(f"{other}/images/web2", "Me:WEB:1")).name == "web2"


def test_what_may_change_and_what_is_not_said_is_gone(web: Registry) -> None:
    changed = web.create_definition(definition(**SAID))
    assert (changed.description, changed.end_of_life, changed.eula) == ("new", "2999-01-01", "be kind")
    assert changed.privacy_statement_uri == "https://acme.test/privacy"
    assert changed.release_note_uri == "https://acme.test/notes"
    assert changed.recommended == {"vCPUs": {"min": 2, "max": 8}, "memory": {"min": 4}}
    assert changed.disallowed == {"diskTypes": ["Standard_LRS"]}
    assert web.find_definition(WEB) == changed
    again = web.create_definition(definition())
    assert (again.recommended, again.disallowed, again.end_of_life, again.eula) == (None, None, None, "")


def test_a_definition_can_be_given_back(web: Registry) -> None:
    whole = definition(
        f"{GALLERY}/images/db",
        "me:db:1",
        hyper_v_generation="V2",
        features=[SECURE, Feature(name="X", value="1", starts_at_version="1.0.0")],
        purchase_plan=PLAN,
        tags={"a": "b"},
        **SAID,
    )
    made = web.create_definition(whole)
    assert made.plan == PLAN
    assert made.features[1] == {"name": "X", "value": "1", "startsAtVersion": "1.0.0"}
    assert web.create_definition(as_declared(made)) == made


def test_defaults_follow_the_api_version(web: Registry) -> None:
    def make(name: str, version: str, **changes: Any) -> tuple[str, list[str]]:
        wanted = definition(f"{GALLERY}/images/{name}", f"me:{name}:1", **changes)
        made = web.create_definition(wanted.model_copy(update={"api_version": version}))
        return made.generation, [feature["value"] for feature in made.features]

    assert make("a", "2024-03-03") == ("V1", [])
    assert make("b", "2025-03-03") == ("V2", ["TrustedLaunchSupported"])
    assert make("c", "2025-12-03", hyper_v_generation="V1") == ("V1", [])
    standard = [Feature(name="SecurityType", value="Standard")]
    assert make("d", "2025-12-03", features=standard) == ("V2", ["Standard"])
    assert make("e", "2024-03-03", hyper_v_generation="V2") == ("V2", [])
    # Whoever says nothing wants nothing changed.
    assert make("e", "2025-12-03") == ("V2", [])
    assert make("b", "2024-03-03") == ("V2", ["TrustedLaunchSupported"])


def test_features_change_when_it_is_asked_for(web: Registry) -> None:
    hibernate = [Feature(name="IsHibernateSupported", value="True")]
    with pytest.raises(ConflictError) as caught:
        web.create_definition(definition(features=hibernate))
    assert "allowUpdateImage" in (caught.value.hint or "")
    made = web.create_definition(definition(features=hibernate, allow_update_image=True))
    assert made.features == ({"name": "IsHibernateSupported", "value": "True"},)
    assert web.create_definition(definition(features=hibernate)) == made


def test_an_end_of_life_lies_ahead_when_it_is_set(web: Registry) -> None:
    with pytest.raises(BadValueError, match="endOfLifeDate must be a future date; 2020-01-01 is not"):
        web.create_definition(definition(end_of_life_date="2020-01-01"))
    with pytest.raises(BadValueError, match=r"properties\.endOfLifeDate: 'soon' is no date"):
        web.create_definition(definition(end_of_life_date="soon"))
    with web._db.write() as session:
        session.execute(text("UPDATE definitions SET end_of_life = '2020-01-01'"))
    # It has come: a deployment that says it still changes nothing.
    assert web.create_definition(definition(end_of_life_date="2020-01-01")).end_of_life == "2020-01-01"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"features": [Feature(name="SecurityTyp", value="x")]},
            r"features\.0\.name: 'SecurityTyp' is no known",
        ),
        ({"features": [Feature(name="SecurityType", value="x")]}, r"features\.0\.value: 'x' is no value"),
        ({"features": [SECURE]}, "SecurityType TrustedLaunchSupported needs hyperVGeneration V2"),
        ({"features": [SECURE, SECURE], "hyper_v_generation": "V2"}, "is there twice"),
        (
            {"recommended": {"memory": {"min": 8, "max": 4}}},
            r"recommended\.memory: the least, 8, is more than",
        ),
    ],
)
def test_bad_values(web: Registry, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadValueError, match=message):
        web.create_definition(definition(f"{GALLERY}/images/bad", "me:bad:1", **changes))
    assert len(web.list_definitions()) == 1
