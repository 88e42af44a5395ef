"""`build access`: who may do what in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.lazy import examples
from builder.cli.output import print_json, print_table

if TYPE_CHECKING:
    from builder.registry.access import Assignment
    from builder.registry.caller import Principal
    from builder.registry.store import Registry

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Give and take roles. SCOPE is /, group:NAME, GALLERY, GALLERY/DEFINITION, "
    "GALLERY/DEFINITION/1.0.0, image:GROUP/NAME or an ARM id; a role holds there and below. "
    "PRINCIPAL is user:NAME, group:NAME or sp:NAME.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Role = Annotated[str, typer.Argument(metavar="ROLE", help="Reader, Contributor or Owner.")]
On = Annotated[str, typer.Option("--on", metavar="SCOPE", help="Where; it holds below, too.")]


@app.command(
    epilog=examples(
        "build access grant Contributor --to user:alice --on mygallery",
        "build access grant Reader --to group:devs --on mygallery/web/1.0.0",
        "build access grant Contributor --to sp:ci --on group:images",
        "build access grant Owner --to user:bob --on /",
    )
)
def grant(
    role: Role,
    *,
    to: Annotated[str, typer.Option("--to", metavar="PRINCIPAL", help="user:NAME, group:NAME or sp:NAME.")],
    on: On,
    json: Json = False,
) -> None:
    """Give a role. Needs Owner of the scope."""
    from builder.registry.access import parse_role, short, typed
    from builder.registry.caller import Principal

    principal, wanted = Principal.parse(to), parse_role(role)
    registry, scope = _at(on)
    made = registry.assign_role(scope, wanted, principal)
    if not registry.is_known(principal):
        typer.echo(f"note: nobody of the name {principal} is known here yet.", err=True)
    if json:
        print_json(_as_json(made))
        return
    place = short(made.scope)
    typer.echo(f"{principal} is {wanted} of {place}.")
    typer.echo(f"Undo: build access revoke {wanted} --from {principal.typed} --on {typed(made.scope)}")


@app.command(
    epilog=examples(
        "build access revoke Contributor --from user:alice --on mygallery",
        "build access revoke --all --below --from user:alice --on /",
    )
)
def revoke(
    role: Annotated[
        str | None, typer.Argument(metavar="[ROLE]", help="Reader, Contributor or Owner; or --all.")
    ] = None,
    *,
    principal: Annotated[
        str, typer.Option("--from", metavar="PRINCIPAL", help="user:NAME, group:NAME or sp:NAME.")
    ],
    on: On,
    every: Annotated[bool, typer.Option("--all", help="Every role that they have there.")] = False,
    below: Annotated[
        bool, typer.Option("--below", help="Also what they have beneath it, such as what they made.")
    ] = False,
    json: Json = False,
) -> None:
    """Take a role. Needs Owner of the scope; the last Owner of / stays."""
    from builder.errors import UsageError
    from builder.registry.access import parse_role, short, typed
    from builder.registry.caller import Principal

    whom = Principal.parse(principal)
    if (role is None) != every:
        raise UsageError("Name one role, or say --all.", hint="'build access revoke --help' has examples.")
    wanted = parse_role(role) if role else None
    registry, scope = _at(on)
    taken = registry.remove_role(scope, wanted, whom, below=below)
    if json:
        print_json([_as_json(one) for one in taken])
        return
    for one in taken:
        typer.echo(f"{whom} is no longer {one.role} of {short(one.scope)}.")
        typer.echo(f"Undo: build access grant {one.role} --to {whom.typed} --on {typed(one.scope)}")
    _tell_what_is_left(registry, scope, whom)


@app.command(
    "list",
    epilog=examples(
        "build access list", "build access list mygallery --inherited", "build access list --json"
    ),
)
def list_(
    scope: Annotated[str, typer.Argument(metavar="SCOPE", help="Default: everything.")] = "/",
    *,
    inherited: Annotated[
        bool, typer.Option("--inherited", help="Also roles from above that hold there.")
    ] = False,
    json: Json = False,
) -> None:
    """List the roles at a scope and beneath it."""
    registry, place = _at(scope)
    found = registry.list_roles(place, inherited=inherited)
    if json:
        print_json([_as_json(one) for one in found])
    elif not found:
        typer.echo("There are no roles here that you may see; with --inherited also those from above.")
    else:
        _print(found)


@app.command(
    epilog=examples(
        "build access check user:alice mygallery/web",
        "build access check sp:ci mygallery --action galleries/images/versions/write",
    )
)
def check(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help="user:NAME, group:NAME or sp:NAME.")],
    scope: Annotated[str, typer.Argument(metavar="SCOPE")],
    *,
    action: Annotated[
        str | None,
        typer.Option(
            "--action", help="Only this one, as Azure names it. Exit code 1 when it is not allowed."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show what somebody may do at a scope, and why."""
    from builder.registry.access import actions_at
    from builder.registry.caller import Principal

    whom = Principal.parse(principal)
    registry, place = _at(scope)
    wanted = {action: _full(action)} if action else actions_at(place)
    found = {word: registry.check_access(whom, one, place) for word, one in wanted.items()}
    if json:
        print_json(
            [
                {"action": wanted[word], "scope": place, "allowed": verdict.allowed, "why": verdict.why}
                for word, verdict in found.items()
            ]
        )
    else:
        rows = [(word, "yes" if one.allowed else "no", one.why) for word, one in found.items()]
        print_table(("Action", "Allowed", "Why"), rows)
    if action and not all(one.allowed for one in found.values()):
        raise typer.Exit(1)


@app.command(epilog=examples("build access whoami", "build access whoami --json"))
def whoami(*, json: Json = False) -> None:
    """Show who you are to the registry, and your roles."""
    from builder.registry.access import short

    registry, _ = _at("/")
    caller = registry.caller
    roles = [one for one in registry.list_roles() if caller.is_meant(one.principal)]
    if json:
        facts = {"principal": str(caller), "objectId": caller.object_id, "groups": sorted(caller.groups)}
        owns = {"ownsRegistry": caller.owns_store}
        print_json({**facts, **owns, "roles": [_as_json(one) for one in roles]})
        return
    typer.echo(f"You are {caller} ({caller.object_id or 'no number'}).")
    if caller.groups:
        typer.echo(f"Groups: {', '.join(sorted(caller.groups))}")
    if caller.owns_store:
        typer.echo("The registry itself belongs to you: you are Owner of everything.")
    for one in roles:
        through = f" through {one.principal}" if one.principal.kind == "Group" else ""
        typer.echo(f"{one.role} of {short(one.scope)}{through}")
    if not roles and not caller.owns_store:
        typer.echo("You have no role here yet; an Owner grants one with 'build access grant'.")


def _at(scope: str) -> tuple[Registry, str]:
    from builder.cli.images import open_registry
    from builder.registry.lookup import scope_id
    from builder.settings import Home, load_settings

    registry = open_registry()
    return registry, scope_id(registry, scope, load_settings(Home()).subscription_id)


def _tell_what_is_left(registry: Registry, scope: str, whom: Principal) -> None:
    from builder.errors import GoldsmithError
    from builder.registry.access import short

    try:
        found = registry.list_roles(scope, inherited=True)
    except GoldsmithError:  # who gave their own role away does not see the rest
        return
    for one in found:
        if one.principal == whom:
            typer.echo(f"{whom} is still {one.role} of {short(one.scope)}.")


def _print(found: list[Assignment]) -> None:
    from builder.registry.access import short

    rows = [
        (one.role, str(one.principal), short(one.scope), f"{one.created_at:%Y-%m-%d %H:%M}", one.created_by)
        for one in found
    ]
    print_table(("Role", "Principal", "Scope", "Since (UTC)", "Granted by"), rows)


def _as_json(one: Assignment) -> dict[str, object]:
    return {
        "id": one.id,
        "role": one.role,
        "principal": str(one.principal),
        "principalType": one.principal.kind,
        "scope": one.scope,
        "createdAt": one.created_at.isoformat(),
        "createdBy": one.created_by,
    }


def _full(action: str) -> str:
    return action if action.startswith("Microsoft.") else f"Microsoft.Compute/{action}"
