"""Channels: named pointers to versions of a definition, such as `prod`. They move forward only."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import select

from builder.errors import ConflictError, NotFoundError
from builder.registry import rules
from builder.registry.part import arm_key, not_found, now
from builder.registry.records import ChannelMove, ChannelRecord, VersionRecord
from builder.registry.schema import ChannelMoveRow, ChannelRow, DefinitionRow, VersionRow
from builder.registry.version_rows import VersionRows
from builder.registry.watch import WatchedSession
from templates.arm_id import ResourceId
from templates.channel_rules import NAME_FORM, is_channel_name

SUCCEEDED = "Succeeded"


class Channels(VersionRows):
    """The registry's part for channels. Names are compared without case."""

    def set_channel(
        self, definition_id: str, name: str, version: str, *, force: bool = False, run_id: str = ""
    ) -> ChannelRecord:
        """Make `name` point to that version, which must be published and not revoked; one that is excluded
        from latest may be. Backwards, to a lower number, only with `force`.

        Raises NotFoundError, BadNameError, ConflictError.
        """
        check_channel_name(name)
        with self._db.write() as session:
            definition = _definition(session, definition_id)
            row = usable_version(session, definition, version)
            channel = find_row(session, definition.key, name)
            if channel is not None and number_of(row) < number_of(channel.version) and not force:
                raise backwards(channel, row)
            return point(session, channel, row, name, self._by, deed="set", forced=force, run_id=run_id)

    def find_channel(self, definition_id: str, name: str) -> ChannelRecord:
        """The channel of that name. Raises NotFoundError that lists those there are."""
        with self._db.read() as session:
            return _record(_require(session, _definition(session, definition_id), name))

    def channel_version(self, definition_id: str, name: str) -> VersionRecord:
        """The version a channel points to. Raises NotFoundError."""
        with self._db.read() as session:
            return self._version(_require(session, _definition(session, definition_id), name).version)

    def list_channels(self, definition_id: str | None = None) -> list[ChannelRecord]:
        """The channels of a definition, or of all, by definition and name."""
        query = select(ChannelRow).order_by(ChannelRow.definition_key, ChannelRow.name_key)
        if definition_id is not None:
            query = query.where(ChannelRow.definition_key == arm_key(definition_id))
        with self._db.read() as session:
            return [_record(row) for row in session.scalars(query)]

    def remove_channel(self, definition_id: str, name: str) -> ChannelRecord:
        """Forget a channel; its version stays. Raises NotFoundError."""
        with self._db.write() as session:
            row = _require(session, _definition(session, definition_id), name)
            record = _record(row)
            drop(session, row, self._by)
            return record

    def undo_channel(self, definition_id: str, name: str) -> ChannelRecord:
        """Make a channel point where it did before its last move; undone again, one further back.

        Raises NotFoundError, ConflictError when there was nothing before, or that cannot be used any more.
        """
        with self._db.write() as session:
            definition = _definition(session, definition_id)
            channel = _require(session, definition, name)
            earlier = _stack(_moves(session, definition.key, name))[:-1]
            if not earlier:
                raise ConflictError(
                    f"The channel '{channel.name}' of {_label(definition)} pointed nowhere before.",
                    hint=f"Take it away: build gallery channel remove {_label(definition)} {channel.name}",
                )
            row = usable_version(session, definition, earlier[-1])
            return point(session, channel, row, channel.name, self._by, deed="undo", forced=True)

    @property
    def _by(self) -> str:
        return str(self.caller)

    def channel_history(self, definition_id: str, name: str) -> list[ChannelMove]:
        """Every move of a channel, the newest first, also of one that is gone. Raises NotFoundError."""
        with self._db.read() as session:
            definition = _definition(session, definition_id)
            moves = _moves(session, definition.key, name)
            if not moves:
                _require(session, definition, name)
            return [_move(row) for row in reversed(moves)]


def check_channel_name(name: str) -> None:
    """Raises BadNameError."""
    if not is_channel_name(name):
        raise rules.BadNameError(f"'{name}' cannot be the name of a channel.", hint=f"It is {NAME_FORM}.")


def number_of(row: VersionRow) -> rules.Number:
    """What versions are compared by."""
    return row.major, row.minor, row.patch


def find_row(session: WatchedSession, definition_key: str, name: str) -> ChannelRow | None:
    """The channel of that name, if there is one."""
    query = select(ChannelRow).where(
        ChannelRow.definition_key == definition_key, ChannelRow.name_key == name.casefold()
    )
    found: ChannelRow | None = session.scalars(query).first()
    return found


def advance(session: WatchedSession, row: VersionRow, name: str, by: str) -> bool:
    """What publishing `row` does to a channel: it moves there unless it is further already."""
    channel = find_row(session, row.definition_key, name)
    if channel is not None and number_of(channel.version) > number_of(row):
        return False
    point(session, channel, row, name, by, deed="set", run_id=row.run_id)
    return True


def release(session: WatchedSession, row: VersionRow, by: str, *, force: bool) -> None:
    """Take a version that is to be deleted out of its channels. Raises ConflictError naming them unless
    `force` is given.
    """
    channels = list(session.scalars(select(ChannelRow).where(ChannelRow.version_key == row.key)))
    if channels and not force:
        names = ", ".join(f"'{channel.name}'" for channel in channels)
        raise ConflictError(
            f"The version {row.id} is what the channel{'s' if len(channels) > 1 else ''} {names} "
            f"point{'' if len(channels) > 1 else 's'} to.",
            hint="Move the channel to another version first, or delete with --force: it is removed then.",
        )
    for channel in channels:
        drop(session, channel, by)


def point(
    session: WatchedSession,
    channel: ChannelRow | None,
    row: VersionRow,
    name: str,
    by: str,
    *,
    deed: str,
    forced: bool = False,
    run_id: str = "",
) -> ChannelRecord:
    """Make the channel (None: a new one) point to `row`, and note the move."""
    before = channel.version if channel is not None else None
    if channel is None:
        channel = ChannelRow(definition_key=row.definition_key, name=name, name_key=name.casefold())
        session.add(channel)
    if before is None or before.key != row.key:
        channel.version, channel.moved_at, channel.moved_by = row, now(), by
        backward = before is not None and number_of(row) < number_of(before)
        _note(session, channel, deed, before, row, by, forced=forced and backward, run_id=run_id)
    session.flush()
    return _record(channel)


def drop(session: WatchedSession, channel: ChannelRow, by: str) -> None:
    """Forget a channel, and note it."""
    _note(session, channel, "remove", channel.version, None, by)
    session.delete(channel)
    session.flush()


def usable_version(session: WatchedSession, definition: DefinitionRow, version: str) -> VersionRow:
    """The version a channel may point to. Raises NotFoundError, ConflictError, BadNameError."""
    major, minor, patch = rules.parse_version(version)
    query = select(VersionRow).where(
        VersionRow.definition_key == definition.key,
        VersionRow.major == major,
        VersionRow.minor == minor,
        VersionRow.patch == patch,
    )
    row = session.scalars(query).first()
    if row is None:
        resource = ResourceId.parse(definition.id).child("versions", version)
        raise not_found(resource, f"See 'build gallery version list {_label(definition)}'.")
    if row.state != SUCCEEDED:
        raise ConflictError(
            f"A channel cannot point to {row.id}: its state is {row.state}.",
            hint="Set it once the version is published.",
        )
    if row.revoked_at is not None:
        raise ConflictError(
            f"A channel cannot point to {row.id}: it is revoked ({row.revoked_reason}).",
            hint="Choose another version, or 'build gallery version unrevoke' when it is good after all.",
        )
    return row


def backwards(channel: ChannelRow, row: VersionRow) -> ConflictError:
    """Why a channel does not move to `row`."""
    now_at = rules.format_version(number_of(channel.version))
    return ConflictError(
        f"The channel '{channel.name}' is at {now_at}; to {rules.format_version(number_of(row))} would be "
        "backwards.",
        hint="Channels move forward only. --force moves it all the same; 'build gallery channel undo' goes "
        "back to where it was before.",
    )


def _note(
    session: WatchedSession,
    channel: ChannelRow,
    deed: str,
    before: VersionRow | None,
    after: VersionRow | None,
    by: str,
    *,
    forced: bool = False,
    run_id: str = "",
) -> None:
    move = ChannelMoveRow(
        definition_key=channel.definition_key,
        name_key=channel.name_key,
        deed=deed,
        before=rules.format_version(number_of(before)) if before is not None else "",
        after=rules.format_version(number_of(after)) if after is not None else "",
        forced=forced,
        run_id=run_id,
        at=now(),
        by=by,
    )
    session.add(move)
    session.changes.append(f"channel {channel.name}: {deed} {move.before or '-'} to {move.after or '-'}")


def _definition(session: WatchedSession, arm_id: str) -> DefinitionRow:
    resource = ResourceId.parse(arm_id)
    row = session.get(DefinitionRow, resource.key)
    if row is None:
        raise not_found(resource, "See 'build gallery definition list'.")
    return row


def _require(session: WatchedSession, definition: DefinitionRow, name: str) -> ChannelRow:
    row = find_row(session, definition.key, name)
    if row is None:
        query = select(ChannelRow.name).where(ChannelRow.definition_key == definition.key)
        names = sorted(session.scalars(query))
        raise NotFoundError(
            f"There is no channel '{name}' in {_label(definition)}.",
            details=(f"Channels there: {', '.join(names)}" if names else "It has no channels yet.",),
            hint=f"Make it: build gallery channel set {_label(definition)} {name} VERSION",
        )
    return row


def _moves(session: WatchedSession, definition_key: str, name: str) -> list[ChannelMoveRow]:
    query = select(ChannelMoveRow).where(
        ChannelMoveRow.definition_key == definition_key, ChannelMoveRow.name_key == name.casefold()
    )
    return list(session.scalars(query.order_by(ChannelMoveRow.id)))


def _stack(moves: list[ChannelMoveRow]) -> list[str]:
    """The versions that undoing goes back through; the last is where the channel points now."""
    stack: list[str] = []
    for move in moves:
        if move.deed == "remove":
            stack.clear()
        elif move.deed == "undo":
            del stack[-1:]
        else:
            stack.append(move.after)
    return stack


def _label(definition: DefinitionRow) -> str:
    return f"{definition.gallery.name}/{definition.name}"


def _record(row: ChannelRow) -> ChannelRecord:
    return ChannelRecord(
        name=row.name,
        definition_id=row.version.definition.id,
        version_id=row.version.id,
        version=rules.format_version(number_of(row.version)),
        moved_at=row.moved_at,
        moved_by=row.moved_by,
    )


def _move(row: ChannelMoveRow) -> ChannelMove:
    return ChannelMove(
        deed=cast("Any", row.deed),
        before=row.before,
        after=row.after,
        forced=row.forced,
        run_id=row.run_id,
        at=row.at,
        by=row.by,
    )
