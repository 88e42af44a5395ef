"""Errors of the engine; the family's root is templates/errors.py."""

from __future__ import annotations

from templates.errors import ExitCode, GoldsmithError, UsageError

__all__ = [
    "BuildError",
    "BuildTimeoutError",
    "CancelledError",
    "ConflictError",
    "EnvironmentProblem",
    "ExitCode",
    "GoldsmithError",
    "InUseError",
    "NotFoundError",
    "PartialDistributionError",
    "PreflightError",
    "UsageError",
]


class BuildError(GoldsmithError):
    """A build that failed after it started."""

    code = "BuildFailed"


class PreflightError(GoldsmithError):
    """Something the template asks for cannot be had; found before anything boots."""

    code = "Preflight"
    exit_code = ExitCode.BAD_TEMPLATE


class NotFoundError(PreflightError):
    """A named thing (image, gallery, definition, run) does not exist."""

    code = "NotFound"


class ConflictError(PreflightError):
    """Something is in the way: an existing version, a build of the same template."""

    code = "Conflict"


class InUseError(ConflictError):
    """A running build holds it: not the template's mistake, and over when that build is."""


class EnvironmentProblem(GoldsmithError):
    """This machine lacks something: a program, firmware, disk space, a permission."""

    code = "Environment"
    exit_code = ExitCode.ENVIRONMENT


class BuildTimeoutError(GoldsmithError):
    """`buildTimeoutInMinutes` passed."""

    code = "BuildTimeout"
    exit_code = ExitCode.TIMED_OUT


class CancelledError(GoldsmithError):
    """Stopped by Ctrl-C, SIGTERM or `build runs cancel`."""

    code = "Cancelled"
    exit_code = ExitCode.CANCELLED


class PartialDistributionError(GoldsmithError):
    """Some targets were written, others were not (AIB: PartiallySucceeded)."""

    code = "PartiallyDistributed"
    exit_code = ExitCode.PARTIALLY_DISTRIBUTED
