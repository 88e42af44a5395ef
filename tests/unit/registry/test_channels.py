"""Channels: forward only, by hand or by a build, back by undo, and never lost from under a version."""

from __future__ import annotations

import pytest

from builder.errors import ConflictError, NotFoundError, UsageError
from builder.registry.lookup import version_id
from builder.registry.records import Delivery
from builder.registry.rules import BadNameError
from builder.registry.store import Registry
from registry.conftest import WEB, Publish


@pytest.fixture
def three(web: Registry, publish: Publish) -> Registry:
    for number in ("1.0.0", "1.1.0", "1.10.0"):
        publish(number)
    return web


def moves(registry: Registry, name: str = "prod") -> list[tuple[str, str, str, bool]]:
    return [(m.deed, m.before, m.after, m.forced) for m in registry.channel_history(WEB, name)]


def test_a_channel_moves_forward_by_number_not_by_text(three: Registry) -> None:
    made = three.set_channel(WEB, "prod", "1.1.0")
    assert (made.name, made.version, made.version_id) == ("prod", "1.1.0", f"{WEB}/versions/1.1.0")
    assert made.moved_by
    assert three.set_channel(WEB, "PROD", "1.10.0").version == "1.10.0"
    with pytest.raises(ConflictError, match=r"is at 1.10.0; to 1.1.0 would be backwards") as caught:
        three.set_channel(WEB, "prod", "1.1.0")
    assert "--force" in str(caught.value.hint)
    assert three.set_channel(WEB, "prod", "1.1.0", force=True).version == "1.1.0"
    assert [channel.name for channel in three.list_channels()] == ["prod"]
    assert moves(three) == [
        ("set", "1.10.0", "1.1.0", True),
        ("set", "1.1.0", "1.10.0", False),
        ("set", "", "1.1.0", False),
    ]


def test_setting_it_where_it_is_moves_nothing(three: Registry) -> None:
    first = three.set_channel(WEB, "prod", "1.1.0")
    again = three.set_channel(WEB, "prod", "1.1.0", force=True)
    assert again == first
    assert len(moves(three)) == 1


@pytest.mark.parametrize("name", ["latest", "Latest", "1.0.0", "", "a b", "-x", "x/y", "x.", "a" * 65])
def test_names_that_could_be_something_else_are_refused(three: Registry, name: str) -> None:
    with pytest.raises(BadNameError, match="cannot be the name of a channel"):
        three.set_channel(WEB, name, "1.0.0")


def test_only_what_is_there_published_and_good_may_be_pointed_to(three: Registry) -> None:
    with pytest.raises(NotFoundError):
        three.set_channel(WEB, "prod", "9.0.0")
    three.reserve_version(WEB, "2.0.0")
    with pytest.raises(ConflictError, match="its state is Creating"):
        three.set_channel(WEB, "prod", "2.0.0")
    three.revoke_version(f"{WEB}/versions/1.1.0", "bad")
    with pytest.raises(ConflictError, match=r"it is revoked \(bad\)"):
        three.set_channel(WEB, "prod", "1.1.0", force=True)
    with pytest.raises(BadNameError):
        three.set_channel(WEB, "prod", "latest")
    with pytest.raises(NotFoundError):
        three.set_channel(WEB.replace("/web", "/other"), "prod", "1.0.0")
    assert three.list_channels() == []


def test_an_excluded_version_may_be_pointed_to(web: Registry, publish: Publish) -> None:
    publish("1.0.0", exclude=True)
    assert web.set_channel(WEB, "canary", "1.0.0").version == "1.0.0"


def test_undo_goes_back_step_by_step(three: Registry) -> None:
    for number in ("1.0.0", "1.1.0", "1.10.0"):
        three.set_channel(WEB, "prod", number)
    assert three.undo_channel(WEB, "prod").version == "1.1.0"
    assert three.undo_channel(WEB, "prod").version == "1.0.0"
    with pytest.raises(ConflictError, match="pointed nowhere before"):
        three.undo_channel(WEB, "prod")
    assert three.set_channel(WEB, "prod", "1.10.0").version == "1.10.0"
    assert three.undo_channel(WEB, "prod").version == "1.0.0"


def test_undo_does_not_go_back_to_what_is_gone_or_revoked(three: Registry) -> None:
    for number in ("1.0.0", "1.1.0", "1.10.0"):
        three.set_channel(WEB, "prod", number)
    three.revoke_version(f"{WEB}/versions/1.1.0", "bad")
    with pytest.raises(ConflictError, match="revoked"):
        three.undo_channel(WEB, "prod")
    three.delete_version(f"{WEB}/versions/1.1.0")
    with pytest.raises(NotFoundError):
        three.undo_channel(WEB, "prod")
    assert three.find_channel(WEB, "prod").version == "1.10.0"


def test_a_version_in_a_channel_is_not_deleted_from_under_it(three: Registry) -> None:
    three.set_channel(WEB, "prod", "1.1.0")
    three.set_channel(WEB, "dev", "1.1.0")
    with pytest.raises(ConflictError, match="channels 'prod', 'dev' point to") as caught:
        three.delete_version(f"{WEB}/versions/1.1.0")
    assert "--force" in str(caught.value.hint)
    three.delete_version(f"{WEB}/versions/1.1.0", force=True)
    assert three.list_channels() == []
    assert moves(three)[0] == ("remove", "1.1.0", "", False)


def test_a_removed_channel_keeps_its_history_and_begins_anew(three: Registry) -> None:
    three.set_channel(WEB, "prod", "1.10.0")
    assert three.remove_channel(WEB, "prod").version == "1.10.0"
    with pytest.raises(NotFoundError, match=r"no channel 'prod' in Team.gallery/web"):
        three.find_channel(WEB, "prod")
    assert three.set_channel(WEB, "prod", "1.0.0").version == "1.0.0"
    with pytest.raises(ConflictError):
        three.undo_channel(WEB, "prod")
    assert len(moves(three)) == 3
    with pytest.raises(NotFoundError) as caught:
        three.channel_history(WEB, "dev")
    assert caught.value.details == ("Channels there: prod",)


def test_publishing_moves_its_channels_in_the_same_transaction(three: Registry) -> None:
    three.set_channel(WEB, "prod", "1.10.0")
    made = three.reserve_version(WEB, "1.2.0", run_id="run-7")
    three.complete_version(made.id, Delivery([], size=4, channels=["dev", "prod"]))
    assert three.channel_version(WEB, "dev").version == "1.2.0"
    assert three.channel_version(WEB, "prod").version == "1.10.0"
    assert [move.run_id for move in three.channel_history(WEB, "dev")] == ["run-7"]


def test_a_channel_stands_for_its_version_on_the_command_line(three: Registry) -> None:
    three.set_channel(WEB, "prod", "1.1.0")
    wanted = f"{WEB}/versions/1.1.0"
    assert version_id(three, "team.gallery/web/@prod") == wanted
    assert version_id(three, f"{WEB}/versions/@PROD") == wanted
    with pytest.raises(NotFoundError):
        version_id(three, "team.gallery/web/@dev")
    with pytest.raises(UsageError):
        version_id(three, "team.gallery/@prod")


def test_a_definition_goes_with_the_history_of_its_channels(three: Registry) -> None:
    three.set_channel(WEB, "prod", "1.1.0")
    for number in ("1.0.0", "1.1.0", "1.10.0"):
        three.delete_version(f"{WEB}/versions/{number}", force=True)
    three.delete_definition(WEB)
    assert three.list_definitions() == []
