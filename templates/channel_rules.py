"""Channels: named pointers to versions of an image definition, such as `prod`."""

from __future__ import annotations

import re

from templates import arm_id
from templates.model import SharedImageDistributor, SharedImageVersionSource
from templates.pointers import join
from templates.report import Report

# Begins with a letter, so it is no version's number.
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
NAME_FORM = "a letter, then letters, digits, '-', '_' or '.', 64 characters at most; not 'latest'"


def is_channel_name(name: str) -> bool:
    """Whether a channel may be called that."""
    return _NAME.fullmatch(name) is not None and name.casefold() != arm_id.LATEST


def check_channel_source(source: SharedImageVersionSource, pointer: str, report: Report) -> None:
    """Report what is wrong with the channel of the source at `pointer`, and a channel in its id."""
    at = join(pointer, "imageVersionId")
    channel = source.extensions.channel
    _, versions, last = source.image_version_id.rpartition("/versions/")
    if versions and last.startswith("@"):
        message = f"'{last}' names a channel; that is the command line's way, an ARM id has no such version"
        hint = f'end it with /versions/latest and add "x-goldsmith": {{"channel": "{last[1:] or "prod"}"}}'
        report.error("ChannelInId", message, at, hint=hint)
        return
    try:
        image = arm_id.parse_image_version(source.image_version_id)
    except arm_id.ResourceIdError as error:
        advice = error.hint
        if source.image_version_id.startswith("["):
            advice = "expressions count only in an ARM deployment ($schema, contentVersion, resources)"
        report.error(error.code, error.message, at, hint=advice)
        return
    if channel is None:
        return
    place = join(pointer, "x-goldsmith", "channel")
    _check_name(channel, place, report)
    if not image.is_latest:
        message = (
            f"imageVersionId names version {image.version}, so the channel '{channel}' would count nothing"
        )
        hint = "end imageVersionId with /versions/latest: the channel's version here, the latest in Azure"
        report.error("ExclusiveFields", message, place, hint=hint)


def check_channel_targets(target: SharedImageDistributor, pointer: str, report: Report) -> None:
    """Report what is wrong with the channels of the target at `pointer`."""
    seen: set[str] = set()
    for index, name in enumerate(target.extensions.channels):
        at = join(pointer, "x-goldsmith", "channels", index)
        _check_name(name, at, report)
        if name.casefold() in seen:
            report.error("DuplicateChannel", f"the channel '{name}' stands twice in this target", at)
        seen.add(name.casefold())


def _check_name(name: str, pointer: str, report: Report) -> None:
    if not is_channel_name(name):
        report.error("BadValue", f"'{name}' cannot be the name of a channel", pointer, hint=NAME_FORM)
