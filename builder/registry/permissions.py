"""What each method of the registry demands of its caller. One that is not in the table cannot be called:
the registry refuses to be made, and a test says so.

    "my_method": on("galleries/images/write")        its first argument names the scope (an ARM id, or
                                                     something with an `id`); `arg="name"` takes another
    "my_search": result("galleries/read")            its argument is a name: the record it returns counts
    "my_list": each("galleries/read")                a list: everybody gets what they may see of it
    "my_sweep": free("why it demands nothing", "galleries/delete")   what it changes is audited as that
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from builder.registry.access import ASSIGNMENT, AUDIT_READ
from builder.registry.guard import Guard, Need, ask

T = TypeVar("T", bound=type)


def on(action: str, arg: str = "") -> Need:
    """Over the scope that an argument names."""
    return Need(_full(action), "scope", arg)


def result(action: str, arg: str = "") -> Need:
    """Over what is found."""
    return Need(_full(action), "result", arg)


def each(action: str, arg: str = "") -> Need:
    """Over each of what is listed."""
    return Need(_full(action), "each", arg)


def free(why: str, audited_as: str = "") -> Need:
    """Nothing, and why."""
    return Need(_full(audited_as) if audited_as else "", "free", why=why)


def _full(action: str) -> str:
    return action if action.startswith("Microsoft.") else f"Microsoft.Compute/{action}"


_VERSIONS = "galleries/images/versions"
_SWEEP = "housekeeping: it takes only what no living process holds and nothing names"
_REPLICAS = "makes and checks what was planned by one who was asked, as Azure's own service does"
_SCHEDULE = "a schedule is this machine's; the build that it starts asks for itself"

PERMISSIONS: Mapping[str, Need] = {
    "close": free("lets go of the database"),
    # galleries
    "create_gallery": on("galleries/write"),
    "update_gallery": on("galleries/write"),
    "find_gallery": on("galleries/read"),
    "find_gallery_by_name": result("galleries/read"),
    "list_galleries": each("galleries/read"),
    "delete_gallery": on("galleries/delete"),
    # definitions
    "create_definition": on("galleries/images/write"),
    "find_definition": on("galleries/images/read"),
    "list_definitions": each("galleries/images/read"),
    "delete_definition": on("galleries/images/delete"),
    # versions
    "reserve_version": on(f"{_VERSIONS}/write"),
    "complete_version": on(f"{_VERSIONS}/write"),
    "abandon_version": free("gives back what this very process reserved", f"{_VERSIONS}/delete"),
    "find_version": result(f"{_VERSIONS}/read"),
    "list_versions": each(f"{_VERSIONS}/read"),
    "explain_latest": on(f"{_VERSIONS}/read"),
    "update_version": on(f"{_VERSIONS}/write"),
    "delete_version": on(f"{_VERSIONS}/delete"),
    # channels: of a definition, as its properties are
    **{f"{verb}_channel": on("galleries/images/write") for verb in ("set", "remove", "undo")},
    "find_channel": on("galleries/images/read"),
    "channel_version": on(f"{_VERSIONS}/read"),
    "channel_history": on("galleries/images/read"),
    "list_channels": each("galleries/images/read"),
    # ancestry: who may read something may know what it was made from
    "ancestors": on(f"{_VERSIONS}/read"),
    "descendants": each(f"{_VERSIONS}/read", arg="limit"),  # wherever they are: each for itself
    "newest_version": on(f"{_VERSIONS}/read"),
    "find_by_key": on(f"{_VERSIONS}/read"),
    "is_any_revoked": free("tells nothing of any version: who builds is to be warned of all of them"),
    "revoked_versions": each(f"{_VERSIONS}/read"),
    "revoke_version": on(f"{_VERSIONS}/write"),
    "unrevoke_version": on(f"{_VERSIONS}/write"),
    # replicas: whoever publishes a version or changes its regions plans them
    "change_regions": on(f"{_VERSIONS}/write"),
    "list_incomplete": each(f"{_VERSIONS}/read"),
    **{
        name: free(_REPLICAS)
        for name in (
            "complete_plan",
            "claim_copy",
            "copy_progress",
            "copy_done",
            "copy_failed",
            "copy_released",
            "copy_checked",
            "copy_damaged",
            "complete_copies",
            "has_copies",
            "identity",
            "named_locations",
        )
    },
    # managed images
    "put_image": on("images/write"),
    "find_image": on("images/read"),
    "find_images_by_name": free("asks list_images"),
    "list_images": each("images/read"),
    "delete_image": on("images/delete"),
    # schedules: of a machine, no resources; their builds ask for themselves
    **{
        f"{verb}_schedule": free(_SCHEDULE, "Microsoft.VirtualMachineImages/imageTemplates/triggers/write")
        for verb in ("add", "remove", "pause", "resume")
    },
    **{
        name: free(_SCHEDULE)
        for name in (
            "find_schedule",
            "list_schedules",
            "claim_schedule",
            "claim_schedule_now",
            "finish_schedule",
            "reactivate_schedule",
        )
    },
    # what gc clears away
    "reclaim": free(_SWEEP, f"{_VERSIONS}/delete"),
    "remove_orphans": free(_SWEEP),
    # access itself
    "require_access": free("is the check itself"),
    "check_access": free("asks the check itself"),
    "locate_gallery": free("the id of a name is no secret: roles are asked for by it"),
    "is_known": free("asks the operating system or the database"),
    "assign_role": on(f"{ASSIGNMENT}/write"),
    "remove_role": on(f"{ASSIGNMENT}/delete"),
    "list_roles": each(f"{ASSIGNMENT}/read"),
    "list_audit": each(AUDIT_READ),
    "prune_audit": free("housekeeping: the time is a setting"),
}


def guarded(registry: T) -> T:
    """A class decorator: every public method asks first. Raises TypeError for one without a permission."""
    methods = {
        name: function
        for name, function in inspect.getmembers(registry, inspect.isfunction)
        if not name.startswith("_")
    }
    missing = sorted(set(methods) - set(PERMISSIONS))
    if missing:
        raise TypeError(
            f"{registry.__name__}.{missing[0]} has no permission: declare it in registry/permissions.py."
        )
    for name, function in methods.items():
        need = PERMISSIONS[name]
        if need.action:
            setattr(registry, name, _asking(function, need))
    return registry


def _asking(function: Callable[..., Any], need: Need) -> Callable[..., Any]:
    names = list(inspect.signature(function).parameters)[1:]
    place = names.index(need.arg) if need.arg else 0
    if inspect.isgeneratorfunction(inspect.unwrap(function)):
        raise TypeError(f"{function.__name__} is a generator: what it opens later would go unasked.")

    @wraps(function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any method
        given = args[place] if len(args) > place else kwargs.get(names[place]) if names else None
        guard = Guard(need, self.caller, given, what=function.__name__)

        def act() -> Any:  # noqa: ANN401 - any result
            found = function(self, *args, **kwargs)
            limit = kwargs.get("limit")
            if not guard.partial or limit is None:
                return guard.checked(found)
            # The limit is of what the caller sees.
            return guard.checked(function(self, *args, **{**kwargs, "limit": None}))[:limit]

        return ask(self, guard, act)

    return call
