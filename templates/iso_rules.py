"""What fits together in an ISO source: its address, and how the system on it is installed."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from templates.model import IsoExtensions, IsoSource
from templates.pointers import join
from templates.report import Report

_VARIANT = re.compile(r"(rhel|centos|centos-stream|almalinux|rocky|ol|debian)\d+(\.\d+)*")
# A package, with its architecture or version; @group, @^environment; -package leaves one out.
_PACKAGE = re.compile(r"(-|@\^?)?[A-Za-z0-9][A-Za-z0-9+._:*-]*", re.ASCII)
_OURS = ("packages", "repositories")


def check_iso(
    source: IsoSource, pointer: str, report: Report, check_duration: Callable[[str, str, Report], None]
) -> None:
    """Report what is wrong with the source at `pointer`."""
    if not source.source_uri.strip():
        report.error("BadValue", "the sourceUri is empty", join(pointer, "sourceUri"))
    extensions, at = source.extensions, join(pointer, "x-goldsmith")
    _check_kickstart(extensions, at, report)
    check_duration(extensions.timeout, join(at, "timeout"), report)
    if extensions.os_variant and not _VARIANT.fullmatch(extensions.os_variant):
        hint = "for example rhel8.4, centos7, almalinux9, rocky9 or debian12"
        message = f"'{extensions.os_variant}' is no known osVariant"
        report.error("BadValue", message, join(at, "osVariant"), hint=hint)
    for index, package in enumerate(extensions.packages):
        if not _PACKAGE.fullmatch(package):
            place = join(at, "packages", index)
            report.error("BadValue", f"'{package}' cannot be the name of a package or @group", place)
    for index, address in enumerate(extensions.repositories):
        _check_repository(address, join(at, "repositories", index), report)
    if extensions.subscription is not None:
        for name, secret in (
            ("organization", extensions.subscription.organization),
            ("activationKey", extensions.subscription.activation_key),
        ):
            ways = [way for way in (secret.env, secret.file, secret.command) if way]
            if len(ways) != 1:
                message = f"the {name} needs exactly one of env, file and command; it has {len(ways)}"
                report.error("BadSecret", message, join(at, "subscription", name))


def _check_kickstart(extensions: IsoExtensions, pointer: str, report: Report) -> None:
    address, lines = extensions.kickstart, extensions.kickstart_inline
    if address is not None and lines is not None:
        message = "kickstart and kickstartInline exclude each other"
        report.error("ExclusiveFields", message, join(pointer, "kickstartInline"), key=True)
    if address is not None and (not address.strip() or "\n" in address):
        hint = "the text itself goes into kickstartInline, a list of its lines"
        message = "kickstart is the address of a file"
        report.error("BadValue", message, join(pointer, "kickstart"), hint=hint)
    if lines is not None and not any(line.strip() for line in lines):
        report.error("BadValue", "the kickstart is empty", join(pointer, "kickstartInline"))
    if address is None and lines is None:
        return
    for name in _OURS:
        if getattr(extensions, name):
            message = f"{name} belong to Goldsmith's own kickstart; yours is used as it is"
            hint = "write them into your kickstart"
            report.error("ExclusiveFields", message, join(pointer, name), hint=hint, key=True)


def _check_repository(address: str, pointer: str, report: Report) -> None:
    parts = urlsplit(address)
    if parts.scheme.lower() not in ("http", "https", "ftp") or not parts.netloc or len(address.split()) != 1:
        message = f"'{address}' is no address of a package repository"
        report.error("BadValue", message, pointer, hint="it begins with https:// or http://")
    elif "@" in parts.netloc:
        message = "a user name or password in it would stand in the kickstart"
        report.error("BadValue", message, pointer)
