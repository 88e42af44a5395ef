"""Where a bootstrap's packages come from: the setting, else this machine's apt, else mmdebstrap's default.

Both forms of sources.list(5) are read: one line a source, and deb822 stanzas.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from builder.process import run
from builder.settings import Settings
from builder.sources.distribution import Distribution

APT = Path("/etc/apt")
_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<rest>.*)$")
_USABLE = ("http://", "https://")
_PROXY = re.compile(r'^Acquire::(https?)::Proxy "([^"]+)";$', re.MULTILINE | re.IGNORECASE)
_APT_CONFIG_SECONDS = 30


@dataclass(frozen=True, slots=True)
class AptSource:
    """One archive of one suite."""

    uri: str
    suite: str
    components: tuple[str, ...]

    def line(self) -> str:
        """As a line of sources.list."""
        return f"deb {self.uri} {self.suite} {' '.join(self.components)}"


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Lines of sources.list for mmdebstrap (none: its own default), and who named them."""

    kind: Literal["setting", "machine", "default"]
    lines: tuple[str, ...] = ()
    family: str = "debian"

    @property
    def key(self) -> str:
        """Part of a base's key. Equal keys promise the same packages: every mirror but one that was
        set by hand is a copy of the same archive.
        """
        return f"{self.kind} {' '.join(self.lines)}" if self.kind == "setting" else self.family


def find_mirrors(distribution: Distribution, suite: str, settings: Settings, apt: Path = APT) -> Mirrors:
    """The mirrors for `suite` of a distribution."""
    family, parts = distribution.key, distribution.components
    uri = getattr(settings, distribution.mirror_setting)
    if uri:
        suites = (suite, *(suite + more for more in distribution.on_archive))
        return Mirrors("setting", tuple(AptSource(uri, one, parts).line() for one in suites), family)
    found = [source for source in read_apt(apt) if _serves(source, suite)]
    if not any(source.suite == suite for source in found):
        return Mirrors("default", family=family)
    ours = (replace(source, components=_of(source.components, parts)) for source in found)
    return Mirrors("machine", tuple(dict.fromkeys(source.line() for source in ours)), family)


def _of(offered: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    there = set(offered)
    return tuple(component for component in wanted if component in there)


def apt_proxies() -> dict[str, str]:
    """This machine's apt proxies, as variables for a program that does not read its configuration."""
    program = shutil.which("apt-config")
    if program is None:
        return {}
    done = run([program, "dump", "Acquire"], timeout=_APT_CONFIG_SECONDS, ok=range(256))
    return parse_proxies(done.stdout)


def parse_proxies(dump: str) -> dict[str, str]:
    """`http_proxy` and `https_proxy` out of what `apt-config dump` prints; DIRECT means none."""
    found = {f"{scheme.lower()}_proxy": value for scheme, value in _PROXY.findall(dump)}
    return {name: value for name, value in found.items() if value.upper() != "DIRECT"}


def read_apt(apt: Path) -> list[AptSource]:
    """What /etc/apt names, in apt's order. Files that cannot be read are passed over."""
    parts = apt / "sources.list.d"
    found: list[AptSource] = []
    for file in (apt / "sources.list", *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found.extend(parse_deb822(text) if file.suffix == ".sources" else parse_lines(text))
    return found


def parse_lines(text: str) -> list[AptSource]:
    """The sources of the one-line form."""
    matches = (_ONE_LINE.match(line.split("#", 1)[0].strip()) for line in text.splitlines())
    return [AptSource(m["uri"], m["suite"], tuple(m["rest"].split())) for m in matches if m]


def parse_deb822(text: str) -> list[AptSource]:
    """The sources of the stanza form: every URI times every suite; disabled stanzas are left out."""
    found: list[AptSource] = []
    for stanza in _stanzas(text):
        types = stanza.get("types", "").split()
        if "deb" not in types or stanza.get("enabled", "yes").strip().lower() in ("no", "false", "0"):
            continue
        components = tuple(stanza.get("components", "").split())
        for uri in stanza.get("uris", "").split():
            found += [AptSource(uri, suite, components) for suite in stanza.get("suites", "").split()]
    return found


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in (*text.splitlines(), ""):
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0].isspace():
            if name:
                fields[name] += " " + line.strip()
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def _serves(source: AptSource, suite: str) -> bool:
    suites: Iterable[str] = (suite, f"{suite}-updates", f"{suite}-security")
    # What is used stands in the image's sources.list: a password must not.
    usable = source.uri.startswith(_USABLE) and "@" not in urlsplit(source.uri).netloc
    return usable and source.suite in suites and "main" in source.components
