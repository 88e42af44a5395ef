from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import EnvironmentProblem, ExitCode, UsageError
from builder.settings import Home, load_settings


def test_a_home_is_made_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "b")
    home.check()
    home.ensure()
    home.ensure()
    home.check()
    assert home.root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("below", ["", "inside"])
def test_a_home_that_is_a_file(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("")
    home = Home(file / below)
    for action in (home.ensure, home.check):
        with pytest.raises(EnvironmentProblem, match="cannot be used") as caught:
            action()
        assert caught.value.exit_code == ExitCode.ENVIRONMENT
        assert "GOLDSMITH_HOME" in (caught.value.hint or "")


def test_a_home_nobody_can_make() -> None:
    with pytest.raises(EnvironmentProblem, match="/proc/foo cannot be used"):
        Home(Path("/proc/foo")).ensure()


def test_a_home_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(EnvironmentProblem, match="Permission denied"):
        Home(tmp_path).ensure()


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert load_settings(home).default_cpus == 2
    file = tmp_path / "settings.toml"
    file.mkdir()
    with pytest.raises(EnvironmentProblem, match=r"settings\.toml cannot be read: Is a directory"):
        load_settings(home)
    file.rmdir()
    file.write_text("default_cpus = ")
    with pytest.raises(UsageError, match=r"settings\.toml"):
        load_settings(home)
    file.write_text("default_cpus = 3")
    assert load_settings(home).default_cpus == 3


def test_a_misspelt_setting_is_told_with_the_right_name(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("boot_timout = 5\n")
    with pytest.raises(UsageError) as caught:
        load_settings(Home(tmp_path))
    assert caught.value.details == ("boot_timout: there is no such setting; did you mean 'boot_timeout'?",)


def test_places_of_regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    (tmp_path / "settings.toml").write_text(
        """[regions]
"West US" = "/mnt/west/"
eastus = { url = "s3://bucket/images/", options = { key = { env = "KEY" } } }
"""
    )
    regions = load_settings(home).regions
    assert {name: (place.url, place.is_local) for name, place in regions.items()} == {
        "westus": ("/mnt/west", True),
        "eastus": ("s3://bucket/images", False),
    }
    assert regions["eastus"].options == {"key": {"env": "KEY"}}
    monkeypatch.setenv("GOLDSMITH_REGIONS", '{"north": "file:///mnt/north"}')
    assert [place.url for place in load_settings(home).regions.values()] == ["/mnt/north"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('west = "relative/path"', "an absolute path"),
        ('west = "/"', "an absolute path"),
        ('west = "sftp://me:geheim@host/images"', "a password would be shown"),
        ('west = "s3://"', "names no place"),
        ('west = "/mnt/a"\n"W est" = "/mnt/b"', "is there twice"),
        ('west = "/mnt/a"\neast = "/mnt/a/b"', "would lie in each other"),
        ('west = { address = "/mnt/a" }', "regions.west"),
        ('west = { url = "/mnt/a", option = 1 }', "regions.west.option"),
    ],
)
def test_places_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "settings.toml").write_text(f"[regions]\n{text}\n")
    with pytest.raises(UsageError) as caught:
        load_settings(Home(tmp_path))
    assert any(said in line for line in caught.value.details), caught.value.details
    assert not any("geheim" in line for line in caught.value.details)
