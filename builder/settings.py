"""Where things are kept and what a person may set.

Settings come from `$GOLDSMITH_HOME/settings.toml`, overridden by `GOLDSMITH_<NAME>` variables.
"""

from __future__ import annotations

import difflib
import errno
import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from builder import beacon
from builder.errors import EnvironmentProblem, UsageError
from builder.notify.targets import Target

_ENV_PREFIX = "GOLDSMITH_"


class RegionPlace(BaseModel):
    """Where a region's replicas lie: a folder, or a URL of fsspec with `options` for its backend. An option
    of the form {env = "NAME"} is read from the environment when it is needed: no secret stands in the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme and "://" in value and parts.scheme != "file":
            if parts.password:
                raise ValueError(
                    'a password would be shown: url = "...", options = { password = { env = "NAME" } }'
                )
            if not parts.netloc and not parts.path:
                raise ValueError("the URL names no place")
            return value.rstrip("/")
        path = Path(value.removeprefix("file://")).expanduser()
        if not path.is_absolute() or path == Path("/"):
            raise ValueError("an absolute path of a folder, or a URL such as s3://bucket/images")
        return str(path)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder."""
        return "://" not in self.url


class Settings(BaseModel):
    """What a person may set. Sizes in MiB, times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    debian_mirror: str | None = Field(default=None, description="Debian mirror for bootstrap recipes")
    ubuntu_mirror: str | None = Field(default=None, description="Ubuntu mirror for bootstrap recipes")
    source_recipe: str = Field(
        default="default",
        pattern="^(default|bootstrap|download)$",
        description="which recipe of a marketplace image that has several",
    )
    accelerator: str = Field(default="auto", pattern="^(auto|kvm|tcg)$")
    default_cpus: int = Field(default=2, ge=1)
    default_memory_mib: int = Field(default=2048, ge=256)
    resource_group: str = "goldsmith"
    subscription_id: str = "00000000-0000-0000-0000-000000000000"
    location: str = "local"
    registry_url: SecretStr | None = Field(
        default=None,
        description="registry of a team: postgresql://user@host/database; none: a file in the home",
    )
    limit_galleries: int = Field(default=100, ge=1, description="galleries in a subscription and region")
    limit_definitions: int = Field(default=1_000, ge=1, description="image definitions, likewise")
    limit_versions: int = Field(default=10_000, ge=1, description="image versions, likewise")
    limit_replicas: int = Field(default=100, ge=1, description="replicas of a version, in all regions")
    limit_disk_gib: int = Field(default=2_048, ge=1, description="a disk of a version")
    limit_shallow_disk_gib: int = Field(default=32_768, ge=1, description="likewise, mode Shallow")
    prices_file: Path | None = Field(
        default=None, description="prices of storage and egress; none: prices.toml in the home"
    )
    caller: str | None = Field(
        default=None,
        pattern="^(ServicePrincipal|sp):.+$",
        description="the service principal that uses the registry; none: who is logged in",
    )
    audit_days: float = Field(default=90, gt=0, description="how long the registry's audit is kept")
    regions: dict[str, RegionPlace] = Field(
        default_factory=dict,
        description="where the replicas of a region lie: a folder or a URL; none: regions/ in the home",
    )
    replication_jobs: int = Field(default=4, ge=1, le=32, description="replicas copied at a time, at most")
    boot_timeout: float = Field(default=900, gt=0, description="boot to SSH, at most")
    cleanup_timeout: float = Field(default=60, gt=0)
    schedule_failures: int = Field(
        default=5, ge=1, description="so many failures in a row deactivate a schedule"
    )
    notify: tuple[Target, ...] = Field(default=(), description="who is told how scheduled builds ended")
    keep_for_days: float = Field(default=7, gt=0)
    cache_size_gib: float = Field(default=20, ge=0, description="layers and finished images, at most")
    memory_snapshots: bool = Field(default=True, description="keep the guest's memory with each layer")
    offline: bool = Field(default=False, description="fetch nothing; use what is on this machine")
    proxy: SecretStr | None = Field(default=None, description="proxy of downloads; none: the environment's")
    gate: Literal["always", "remote", "off"] = Field(
        default="remote", description="when the VHD gate looks at an image, where the template does not say"
    )
    download_connections: int = Field(default=4, ge=1, le=16, description="for one large file, at most")

    upload_connections: int = Field(default=8, ge=1, le=32, description="to a storage account, at once")
    upload_verify: str = Field(
        default="pages",
        pattern="^(pages|content)$",
        description="after an upload: compare the pages that are there, or read them all back",
    )
    upload_over_http: bool = Field(default=False, description="upload without TLS to other machines, too")

    @field_validator("regions", mode="before")
    @classmethod
    def _region_tables(cls, value: Any) -> Any:  # noqa: ANN401 - what a file or a variable holds
        """`westus = "/mnt/west"` is `westus = { url = "/mnt/west" }`; a variable has the table as JSON."""
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise ValueError('as a variable it is JSON: {"westus": "/mnt/west"}') from None
        if not isinstance(value, dict):
            raise ValueError('a table: [regions] with lines such as westus = "/mnt/west"')
        return {name: {"url": at} if isinstance(at, str) else at for name, at in value.items()}

    @field_validator("regions")
    @classmethod
    def _one_place_each(cls, value: dict[str, RegionPlace]) -> dict[str, RegionPlace]:
        """Keyed by the form regions are compared in."""
        found: dict[str, RegionPlace] = {}
        for name, place in value.items():
            key = name.replace(" ", "").lower()
            if not key:
                raise ValueError("a region has a name")
            if key in found:
                raise ValueError(f"'{name}' is there twice: case and blanks do not count")
            for other, taken in found.items():
                if f"{place.url}/".startswith(f"{taken.url}/") or f"{taken.url}/".startswith(f"{place.url}/"):
                    raise ValueError(f"'{name}' and '{other}' would lie in each other: {place.url}")
            found[key] = place
        return found

    @field_validator("debian_mirror", "ubuntu_mirror")
    @classmethod
    def _no_password_in_the_image(cls, value: str | None) -> str | None:
        """The mirror's address ends in the image's own sources.list."""
        if value is not None and "@" in urlsplit(value).netloc:
            raise ValueError("a user name or password in it would stand in every image")
        if value is not None and (not value or any(letter.isspace() for letter in value)):
            raise ValueError("one address, without spaces")
        return value

    @field_validator("proxy")
    @classmethod
    def _is_a_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address such as http://proxy.example:3128")
        return value


class Home:
    """`$GOLDSMITH_HOME`, by default the platform's user data directory."""

    def __init__(self, root: Path | None = None) -> None:
        default = platformdirs.user_data_path("goldsmith")
        self.root = (root or Path(os.environ.get("GOLDSMITH_HOME") or default)).expanduser().absolute()
        self.registry = self.root / "registry.db"
        self.images = self.root / "images"
        self.regions = self.root / "regions"
        self.downloads = self.root / "cache" / "downloads"
        self.bases = self.root / "cache" / "bases"
        self.layers = self.root / "cache" / "layers"
        self.finished = self.root / "cache" / "finished"
        self.known_files = self.root / "cache" / "known-files.json"
        self.known_sums = self.root / "cache" / "known-sums.json"
        self.known_blobs = self.root / "cache" / "known-blobs.json"
        self.uploads = self.root / "uploads"
        self.staging = self.root / "staging"
        self.runs = self.root / "runs"
        self.replication = self.root / "replication"

    def ensure(self) -> None:
        """Make it when it is not there. Raises EnvironmentProblem when it cannot be made or written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self.unusable(error) from error
        if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
            raise self.unusable(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        beacon.light(self.root)

    def check(self) -> None:
        """For verbs that only read: nothing there is fine, something else than a folder is not.

        Raises EnvironmentProblem.
        """
        beacon.look_at(self.root)
        try:
            names = os.scandir(self.root)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self.unusable(error) from error
        names.close()

    def unusable(self, error: OSError) -> EnvironmentProblem:
        """What to say when the operating system refuses something in here."""
        place = error.filename or self.root
        no_folder = isinstance(error, FileExistsError | NotADirectoryError)
        reason = "a file is in its place" if no_folder else error.strerror or str(error)
        return EnvironmentProblem(
            f"Goldsmith's home {self.root} cannot be used: {reason}.",
            details=() if str(place) == str(self.root) else (str(place),),
            hint="Set GOLDSMITH_HOME to a folder you can write.",
        )


def load_settings(home: Home) -> Settings:
    """Read the settings. Raises UsageError naming the file or variable that is wrong, and
    EnvironmentProblem when the file is there and cannot be read.
    """
    file = home.root / "settings.toml"
    values = _read(file)
    for name in Settings.model_fields:
        value = os.environ.get(_ENV_PREFIX + name.upper())
        if value is not None:
            values[name] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        details = tuple(
            f"{'.'.join(map(str, e['loc']))}: {_said(e['type'], e['msg'], str(e['loc'][0]))}"
            for e in error.errors()
        )
        raise UsageError(
            f"A setting in {file} or a {_ENV_PREFIX}* variable is wrong.",
            details=details,
            hint="docs/reference.md lists all settings.",
        ) from error


def _said(kind: str, message: str, name: str) -> str:
    if kind != "extra_forbidden":
        return message.removeprefix("Value error, ")
    close = difflib.get_close_matches(name, Settings.model_fields, n=1)
    return "there is no such setting" + (f"; did you mean '{close[0]}'?" if close else "")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):  # a home that is no folder is Home's to refuse
        return {}
    except OSError as error:
        raise EnvironmentProblem(
            f"The settings {file} cannot be read: {error.strerror}.",
            hint="Make it a file you can read, or remove it.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}", hint="Correct the file; it is TOML.") from error
