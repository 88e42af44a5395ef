"""Rules about who provisions a new VM: cloud-init, the Azure Linux Agent (waagent), or both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from builder.gate.guest import enabled
from builder.gate.rule import LINUX, Fault, Rule, Seen, linux_only

if TYPE_CHECKING:
    from builder.gate.subject import Guest, Subject

_CONF = "/etc/waagent.conf"
_LIST = re.compile(r"^datasource_list:[ \t]*(?:\[([^\]]*)\]|((?:\n[ \t]*-[^\n]*)+))", re.MULTILINE)


def _settings(guest: Guest) -> dict[str, str]:
    """waagent.conf, names in lower case."""
    pairs = (
        line.partition("=") for line in guest.text(_CONF).splitlines() if not line.lstrip().startswith("#")
    )
    return {name.strip().casefold(): value.split("#")[0].strip() for name, equals, value in pairs if equals}


def _cloud_init(guest: Guest) -> str:
    """ "" when it is there and starts; else what keeps it from that."""
    if "cloud-init" not in guest.names("/usr/bin", "/bin", "/usr/local/bin"):
        return "not installed"
    if guest.files.read("/etc/cloud/cloud-init.disabled") is not None:
        return "switched off by /etc/cloud/cloud-init.disabled"
    words = guest.boot.words if guest.boot is not None else None
    if "cloud-init=disabled" in (words or ()):
        return "switched off on the kernel's command line"
    if not any(name.startswith("cloud-init") and name.endswith(".service") for name in enabled(guest)):
        return "not enabled"
    return ""


def _waagent(guest: Guest) -> str:
    """The same of the Azure Linux Agent."""
    if "waagent" not in guest.names("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        return "not installed"
    return "" if {"walinuxagent.service", "waagent.service"} & enabled(guest) else "not enabled"


def _agent(subject: Subject) -> Iterator[Fault | Seen]:
    guest = subject.guest
    init, agent = _cloud_init(guest), _waagent(guest)
    state = f"cloud-init: {init or 'enabled'}; waagent: {agent or 'enabled'}"
    if init and agent:
        yield Fault(
            "Nobody provisions a new VM: neither cloud-init nor waagent is there and starts.",
            "Install walinuxagent and cloud-init and enable them.",
            state,
        )
        return
    settings = _settings(guest)
    chosen = settings.get("provisioning.agent", "auto").casefold()
    off = chosen in ("cloud-init", "disabled") or settings.get("provisioning.enabled", "y").casefold() == "n"
    if init and off:
        yield Fault(
            f"waagent leaves provisioning to cloud-init ({_CONF}), which does not start.",
            "Install and enable cloud-init, or set Provisioning.Agent=auto.",
            f"{state}; Provisioning.Agent={chosen}",
        )
    if agent:
        yield Fault(
            "There is no Azure Linux Agent that starts: no extensions, no password reset.",
            "Install walinuxagent and enable it.",
            state,
            "warning",
        )
    yield Seen(state)


def _datasource(subject: Subject) -> Iterator[Fault | Seen]:
    guest = subject.guest
    folder = "/etc/cloud/cloud.cfg.d"
    names = [name for name in guest.files.listdir(folder) or () if name.endswith(".cfg")]
    where, listed = "", None
    for path in ("/etc/cloud/cloud.cfg", *(f"{folder}/{name}" for name in sorted(names))):
        for found in _LIST.finditer(guest.text(path)):
            words = re.findall(r"[A-Za-z0-9]+", found[1] if found[1] is not None else found[2])
            where, listed = path, words
    if listed is None:
        yield Seen("cloud-init's own list, which has Azure")
        return
    if "azure" not in [word.casefold() for word in listed]:
        yield Fault(
            "cloud-init does not look for Azure: a new VM gets no user, no key and no name.",
            f"Add Azure to datasource_list in {where}.",
            f"{where}: {', '.join(listed) or 'an empty list'}",
        )
    yield Seen(f"{', '.join(listed)} ({where})")


def _no_cloud_init(subject: Subject) -> str:
    why = linux_only(subject)
    if why or isinstance(subject.guest_or_why, str):
        return why
    return "there is no cloud-init" if _cloud_init(subject.guest_or_why) == "not installed" else ""


def _resource_disk(subject: Subject) -> Iterator[Fault | Seen]:
    settings = _settings(subject.guest)
    for name in ("ResourceDisk.Format", "ResourceDisk.EnableSwap"):
        if settings.get(name.casefold(), "n").casefold() == "y":
            yield Fault(
                f"waagent and cloud-init both take care of the temporary disk ({name}=y).",
                f"Set {name}=n in {_CONF}; cloud-init formats it.",
                _CONF,
            )
    yield Seen("left to cloud-init")


RULES = (
    Rule("provisioning-agent", "cloud-init or waagent provisions it", LINUX, "error", _agent, linux_only),
    Rule("azure-datasource", "cloud-init looks for Azure", LINUX, "error", _datasource, _no_cloud_init),
    Rule(
        "resource-disk",
        "One alone formats the temporary disk",
        LINUX,
        "warning",
        _resource_disk,
        _no_cloud_init,
    ),
)
