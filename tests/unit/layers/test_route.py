"""Where a build goes on from: the highest layer that is there, fits and is allowed, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.layers.finished import FinishedLayer, FinishedMeta
from builder.layers.identity import difference, input_digests
from builder.layers.layer import Layer, LayerMeta, Memory
from builder.layers.route import Known, Link, LinkSpec, Route, Wishes, find_route, image_of, make_links
from provisioners.shell import inline_script

KEY = "this machine"
NOW = 1_800_000_000.0
HOUR = 3600.0


def shell(name: str, *lines: str, never: bool = False, max_age: float | None = None) -> LinkSpec:
    return LinkSpec("Shell", name, 1, {"inline": inline_script(list(lines)).decode()}, never, max_age)


def links_of(*steps: LinkSpec, source: str = "source", grow_to: int = 0) -> tuple[Link, ...]:
    return make_links(source, {"generation": "V1"}, grow_to, steps)


def chain_of(links: Sequence[Link], **changes: object) -> tuple[Layer, ...]:
    """Layers as an earlier build of these links left them, an hour apart, the last one an hour ago."""
    made: list[Layer] = []
    for number, link in enumerate(links):
        meta = LayerMeta(
            id=link.id,
            instance=f"instance-{number}",
            parent=made[-1].meta.instance if made else "",
            kind=link.kind,
            name=link.name,
            template="t",
            source="source",
            inputs=link.inputs,
            frozen=tuple(NOW - HOUR * (len(links) - n) for n in range(number + 1)),
            virtual_size=1 << 30,
            disk_size=1,
            memory=Memory(KEY, 1),
        )
        made.append(Layer(Path("/layers") / link.id, replace(meta, **changes)))  # type: ignore[arg-type]
    return tuple(made)


def with_memory(layer: Layer, memory: Memory | None, volatile: tuple[str, ...] = ()) -> Layer:
    return Layer(layer.folder, replace(layer.meta, memory=memory, volatile=volatile))


def image(image_id: str, times: tuple[float, ...]) -> FinishedLayer:
    meta = FinishedMeta(
        id=image_id, template="t", source="source", os_type="Linux", generation="V1", virtual_size=1,
        file_size=513, modified=0, digest="d", proof="14 checks passed", frozen=times, created=NOW,
    )  # fmt: skip
    return FinishedLayer(Path("/finished") / image_id, meta)


def route_of(
    links: tuple[Link, ...], chain: Sequence[Layer] = (), wishes: Wishes | None = None, **known: object
) -> Route:
    found = Known(tuple(chain), **known)  # type: ignore[arg-type]
    return find_route(links, "image", found, KEY, wishes or Wishes(), NOW)


def test_nothing_known_means_everything_runs() -> None:
    route = route_of(links_of(shell("one", "a"), shell("two", "b")))
    assert (route.used, route.from_memory, route.image) == (0, False, None)
    assert route.reasons == ("no layer of it yet", "a step before it runs", "a step before it runs")


def test_everything_known_restores_the_last_layer() -> None:
    links = links_of(shell("one", "a"), shell("two", "b"))
    route = route_of(links, chain_of(links))
    assert (route.used, route.from_memory) == (3, True)
    assert [reason.split(" of ")[0] for reason in route.reasons] == ["layer", "layer", "memory snapshot"]


def test_an_edited_step_is_named_with_the_line_that_changed() -> None:
    before = links_of(shell("one", "a"), shell("two", "x", "y"))
    after = links_of(shell("one", "a"), shell("two", "x", "z"))
    old = chain_of(before)
    route = route_of(after, old[:2], siblings=lambda parent: [x for x in old if x.meta.parent == parent])
    assert (route.used, route.reasons[2]) == (2, "inline[1] changed")


def test_another_step_in_its_place_is_named() -> None:
    before, after = links_of(shell("one", "a")), links_of(LinkSpec("File", "f", 1, {"sha256": "0"}))
    old = chain_of(before)
    route = route_of(after, old[:1], siblings=lambda parent: [x for x in old if x.meta.parent == parent])
    assert route.reasons[1] == "another step stood here (Shell 'one')"


def test_a_memory_of_another_machine_is_booted_from_its_disk() -> None:
    links = links_of(shell("one", "a"))
    route = route_of(links, chain_of(links, memory=Memory("another", 1)))
    assert (route.used, route.from_memory) == (2, False)
    assert route.reasons[1].startswith("boots from its disk layer of ")
    assert "another machine's" in route.reasons[1]


def test_what_only_the_memory_holds_sends_one_back_to_the_layer_before() -> None:
    links = links_of(shell("one", "a"), shell("two", "b"))
    chain = list(chain_of(links))
    chain[2] = with_memory(chain[2], None, ("/tmp/x",))
    route = route_of(links, chain)
    assert (route.used, route.from_memory) == (2, True)
    assert "only the memory holds /tmp/x" in route.reasons[2]


@pytest.mark.parametrize(
    ("wishes", "used", "reason"),
    [
        (Wishes(no_cache=True), 0, "--no-cache"),
        (Wishes(from_step=1), 1, "--from 1"),
        (Wishes(from_step=2), 2, "--from 2"),
    ],
)
def test_the_command_line_forbids(wishes: Wishes, used: int, reason: str) -> None:
    links = links_of(shell("one", "a"), shell("two", "b"))
    known = image("image", (NOW,) * 3)
    route = route_of(links, chain_of(links), wishes, image=known)
    assert (route.used, route.image, route.reasons[used]) == (used, None, reason)


def test_a_step_that_is_never_cached_runs_and_all_after_it() -> None:
    links = links_of(shell("one", "a"), shell("two", "b", never=True), shell("three", "c"))
    route = route_of(links, chain_of(links), image=image("image", (NOW,) * 4))
    assert (route.used, route.image) == (2, None)
    assert route.reasons[2:] == ("its cache is 'never'", "a step before it runs")
    assert [route.storable(number) for number in range(4)] == [True, True, False, False]


@pytest.mark.parametrize(("age", "used"), [(0.5 * HOUR, 1), (10 * HOUR, 3)])
def test_a_layer_older_than_its_step_allows_is_made_again(age: float, used: int) -> None:
    links = links_of(shell("one", "a", max_age=age), shell("two", "b"))
    times = tuple(layer.meta.created for layer in chain_of(links))
    route = route_of(links, chain_of(links), image=image("image", times))
    assert route.used == used
    assert (route.image is not None) == (used == 3)
    if used == 1:
        assert route.reasons[1].endswith("is older than it may be")


def test_a_finished_image_needs_no_layers() -> None:
    links = links_of(shell("one", "a"))
    route = route_of(links, (), image=image("image", (NOW, NOW)))
    assert route.image is not None
    assert all("in the finished image of" in reason for reason in route.reasons)


def test_keys_follow_the_inputs_not_the_names() -> None:
    ids = [link.id for link in links_of(shell("one", "a"))]
    assert ids == [link.id for link in links_of(shell("another name", "a"))]
    assert ids[0] == links_of(shell("one", "b"))[0].id
    assert ids[1] != links_of(shell("one", "b"))[1].id
    assert ids[0] != links_of(shell("one", "a"), source="another")[0].id


def test_a_grown_disk_is_a_layer_of_its_own_over_the_same_warm_base() -> None:
    small, large = links_of(shell("one", "a")), links_of(shell("one", "a"), grow_to=8 << 30)
    assert small[0].id == large[0].id
    assert [link.kind for link in large] == ["boot", "grow", "Shell"]
    assert small[-1].id != large[-1].id
    assert image_of(small, {}) != image_of(large, {})
    assert [link.step for link in large] == [0, 0, 1]


@given(st.lists(st.text(max_size=4), max_size=5), st.lists(st.text(max_size=4), max_size=5))
def test_a_difference_is_found_exactly_when_there_is_one(before: list[str], after: list[str]) -> None:
    def digests(lines: list[str]) -> Mapping[str, str]:
        return input_digests({"inline": inline_script([f"echo {line!r}" for line in lines]).decode()})

    assert bool(difference(digests(before), digests(after))) == (before != after)
