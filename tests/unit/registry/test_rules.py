from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import ConflictError, PreflightError
from builder.registry import rules
from builder.registry.rules import BadNameError, format_version, next_version, parse_version
from templates.model.distribute import LatestVersioning, SourceVersioning

PUBLISHED = [
    parse_version(name)
    for name in [
        *("0.1.1", "0.1.2", "1.0.0", "1.0.1", "1.1.0"),
        *("1.1.1", "1.2.0", "2.0.0", "2.0.1", "2.1.0"),
    ]
]
SOURCE = SourceVersioning(scheme="Source")


def latest(major: int = -1) -> LatestVersioning:
    return LatestVersioning(scheme="Latest", major=major)


@pytest.mark.parametrize(
    ("versioning", "expected"),
    [(None, "2.1.1"), (latest(), "2.1.1"), (latest(2), "2.1.1"), (latest(1), "1.2.1"), (latest(0), "0.1.3")],
)
def test_the_documented_example_of_latest(versioning: LatestVersioning | None, expected: str) -> None:
    assert format_version(next_version(PUBLISHED, versioning)) == expected


@pytest.mark.parametrize(
    ("versioning", "expected"),
    [(None, "0.0.1"), (latest(), "0.0.1"), (latest(0), "0.0.1"), (latest(7), "7.0.1")],
)
def test_the_first_version_of_a_line(versioning: LatestVersioning | None, expected: str) -> None:
    assert format_version(next_version([], versioning)) == expected


@pytest.mark.parametrize(
    ("existing", "source", "expected"),
    [
        ([], "1.2.3", "1.2.3"),
        (["9.9.9", "1.3.0"], "1.2.3", "1.2.3"),
        (["1.2.3"], "1.2.3", "1.2.4"),
        (["1.2.9", "1.2.4"], "1.2.3", "1.2.10"),
        (["1.2.1"], "1.2.3", "1.2.3"),
        ([], "22.04.202401010", "22.4.202401010"),
        ([], "12.20240101.5.0", "12.20240101.5"),
    ],
)
def test_source_follows_the_source(existing: list[str], source: str, expected: str) -> None:
    taken = [parse_version(name) for name in existing]
    assert format_version(next_version(taken, SOURCE, source)) == expected


@pytest.mark.parametrize("source", [None, "", "latest", "1.2", "v1.2.3"])
def test_source_needs_a_source_with_a_version(source: str | None) -> None:
    with pytest.raises(PreflightError, match=r"no Major\.Minor\.Patch version"):
        next_version([], SOURCE, source)


def test_numbers_that_run_out_are_an_error() -> None:
    with pytest.raises(ConflictError, match=r"1\.0\.2147483648"):
        next_version([(1, 0, 2**31 - 1)], None)


numbers = st.tuples(*[st.integers(0, 40)] * 3)
schemes = st.one_of(st.none(), st.just(SOURCE), st.integers(-1, 40).map(latest))


@given(st.sets(numbers, max_size=30), schemes, numbers)
def test_a_new_number_is_new_and_the_highest_of_its_line(
    existing: set[rules.Number], versioning: rules.Versioning | None, source: rules.Number
) -> None:
    number = next_version(existing, versioning, format_version(source))
    assert number not in existing
    line = [n for n in existing if n[:2] == number[:2]]
    assert all(n < number for n in line)
    if isinstance(versioning, LatestVersioning) and versioning.major >= 0:
        assert number[0] == versioning.major
        assert all(n < number for n in existing if n[0] == versioning.major)
    elif isinstance(versioning, SourceVersioning):
        assert number[:2] == source[:2] and number >= source
    else:
        assert all(n < number for n in existing)


@pytest.mark.parametrize("name", ["0.0.0", "1.0.0", "2018.12.1", "2147483647.0.0"])
def test_versions_that_are_fine(name: str) -> None:
    assert format_version(parse_version(name)) == name


@pytest.mark.parametrize(
    "name",
    ["", "1", "1.0", "1.0.0.0", "v1.0.0", "1.0.-1", "01.0.0", "1.0.0 ", "1.0.٣", "2147483648.0.0", "latest"],
)
def test_versions_that_are_none(name: str) -> None:
    with pytest.raises(BadNameError, match=r"should follow Major\(int\)\.Minor\(int\)\.Patch\(int\) format"):
        parse_version(name)


@pytest.mark.parametrize("name", ["a", "Team.gallery_1", "9", "a" * 80])
def test_gallery_names_that_are_fine(name: str) -> None:
    rules.check_gallery_name(name)


@pytest.mark.parametrize("name", ["", "my-gallery", "_a", "a_", ".a", "a.", "a b", "ä", "a" * 81])
def test_gallery_names_that_are_not(name: str) -> None:
    with pytest.raises(BadNameError, match="including dashes, are disallowed"):
        rules.check_gallery_name(name)


def test_a_gallery_name_that_would_do_is_offered() -> None:
    with pytest.raises(BadNameError) as caught:
        rules.check_gallery_name("my-gallery-")
    assert caught.value.hint == "Perhaps 'my_gallery'?"


@pytest.mark.parametrize("name", ["a", "web-1", "9", "web_x.y", "a" * 80])
def test_definition_names_that_are_fine(name: str) -> None:
    rules.check_definition_name(name)


@pytest.mark.parametrize("name", ["", "_a", "-a", ".a", "a.", "a-", "a b", "a/b", "a" * 81])
def test_definition_names_that_are_not(name: str) -> None:
    with pytest.raises(BadNameError, match="image definition name"):
        rules.check_definition_name(name)


def test_names_of_managed_images() -> None:
    for name in ("a", "Web_1.0-x", "9" * 80, "web_"):
        rules.check_image_name(name)
    for name in ("", "-a", "a.", "a-", "9" * 81, "a b", "ä"):
        with pytest.raises(rules.BadNameError, match="managed image name"):
            rules.check_image_name(name)


@pytest.mark.parametrize(
    ("triple", "wrong"),
    [
        (("p" * 129, "o", "s"), "publisher"),
        (("p", "o" * 65, "s"), "offer"),
        (("p", "o", "s" * 65), "sku"),
        (("p", "o.", "s"), "offer"),
        (("p", "o", ""), "sku"),
        (("p p", "o", "s"), "publisher"),
    ],
)
def test_identifiers_that_are_not(triple: tuple[str, str, str], wrong: str) -> None:
    with pytest.raises(BadNameError, match=f"The {wrong} '"):
        rules.check_identifier(*triple)
    rules.check_identifier("p" * 128, "o" * 64, "12-gen2_x.1")


@pytest.mark.parametrize("name", ["", "../x", "a/b", " a", ".", "a.b"])
def test_a_region_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(BadNameError, match="not a region name"):
        rules.check_region(name)
