"""Freezing a template's inputs, as AIB does at submit: the bytes of every script and file.

Afterwards nobody looks at a path or URL again (aib-behaviour, section 1).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.download.errors import public_url
from builder.download.network import Network
from builder.download.reading import read_uri
from builder.errors import BuildTimeoutError, PreflightError
from builder.events import Wait
from provisioners.base import FrozenContent
from templates.diagnostics import Diagnostic, Location, TemplateError
from templates.errors import GoldsmithError
from templates.model import FileStep, ImageTemplate, ScriptStep, Step

if TYPE_CHECKING:
    from builder.services import Services
    from templates import Document

Locate = Callable[[str], Location]
_THREADS = 4
# "One file, suited to < 20 MB" (aib-behaviour, section 3).
_LARGE_FILE = 20 * 1000 * 1000
# They are held in memory until the build ends.
_MAX_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to read. `pointer` is the step's; `field` the one that holds the address."""

    pointer: str
    field: str
    uri: str
    sha256: str | None
    is_file: bool


def freeze(document: Document, template: ImageTemplate, services: Services) -> dict[str, FrozenContent]:
    """The content of every step that has one, by the step's JSON pointer within the template
    (`/properties/customize/0`, `/properties/validate/inVMValidations/0`).

    Raises TemplateError with every problem, each at its place in the file; BuildTimeoutError.
    """
    prefix = document.pointer_of(template)
    return freeze_steps(list(steps_of(template)), services, lambda pointer: document.locate(prefix + pointer))


def steps_of(template: ImageTemplate) -> Iterator[tuple[str, Step]]:
    """All customizers and validators with their JSON pointers within the template."""
    for number, customizer in enumerate(template.properties.customize):
        yield f"/properties/customize/{number}", customizer
    checks = template.properties.validation
    for number, validator in enumerate(checks.in_vm_validations if checks else []):
        yield f"/properties/validate/inVMValidations/{number}", validator


def freeze_steps(
    steps: Sequence[tuple[str, Step]], services: Services, locate: Locate
) -> dict[str, FrozenContent]:
    """`freeze` for steps given with their pointers; `locate` finds a pointer's place in the file."""
    frozen, problems = collect(steps, services, locate)
    if problems:
        raise TemplateError(problems)
    return frozen


def collect(
    steps: Sequence[tuple[str, Step]], services: Services, locate: Locate
) -> tuple[dict[str, FrozenContent], list[Diagnostic]]:
    """What could be had of the steps' contents, and why the rest could not. Raises BuildTimeoutError."""
    frozen: dict[str, FrozenContent] = {}
    wanted: list[Wanted] = []
    for pointer, step in steps:
        if isinstance(step, ScriptStep) and step.inline is not None:
            frozen[pointer] = frozen_content("inline", "\n".join(step.inline).encode())
        one = _wanted(pointer, step)
        if one is not None:
            wanted.append(one)
    cache = _Reader(services)
    problems: list[Diagnostic] = []
    with ExitStack() as stack:
        wait = (
            stack.enter_context(Wait(services.bus, "Downloading scripts and files"))
            if any(_is_url(item.uri) for item in wanted)
            else None
        )
        pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="resolve")
        # Not the pool's own context: a cancelled build does not wait for a slow server.
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        results = []
        for result in pool.map(lambda item: _freeze_one(item, cache, locate), wanted):
            results.append(result)
            if wait is not None:
                wait.progress(len(results), len(wanted))
    for item, result in zip(wanted, results, strict=True):
        if isinstance(result, Diagnostic):
            problems.append(result)
            continue
        frozen[item.pointer] = result
        if item.is_file and len(result.data) > _LARGE_FILE:
            size = len(result.data) / 1e6
            services.bus.warn(
                f"{item.pointer}: {result.origin} has {size:.0f} MB; AIB means File for less than 20 MB.",
                code="LargeFile",
            )
    return frozen, problems


def is_far(step: Step) -> bool:
    """Whether the content of a step has to come over a network."""
    one = _wanted("", step)
    return one is not None and _is_url(one.uri)


def _is_url(uri: str) -> bool:
    return uri.lower().startswith(("http:", "https:"))


def frozen_content(origin: str, data: bytes) -> FrozenContent:
    """Content with its digest (lower-case hex)."""
    return FrozenContent(origin, data, hashlib.sha256(data).hexdigest())


def _wanted(pointer: str, step: Step) -> Wanted | None:
    if isinstance(step, ScriptStep) and step.script_uri is not None:
        return Wanted(pointer, "scriptUri", step.script_uri, step.sha256_checksum, is_file=False)
    if isinstance(step, FileStep) and step.source_uri is not None:
        return Wanted(pointer, "sourceUri", step.source_uri, step.sha256_checksum, is_file=True)
    return None


def _freeze_one(item: Wanted, reader: _Reader, locate: Locate) -> FrozenContent | Diagnostic:
    try:
        data = reader.read(item.uri)
        # A path may hold a question mark; only a URL has a query to hide.
        content = frozen_content(public_url(item.uri) if "://" in item.uri else item.uri, data)
    except BuildTimeoutError:
        raise
    except GoldsmithError as error:
        text = " ".join([error.message, *error.details])
        return Diagnostic("error", "DownloadFailed", text, locate(f"{item.pointer}/{item.field}"), error.hint)
    if item.sha256 and content.sha256 != item.sha256.strip().lower():
        return Diagnostic(
            "error",
            "ChecksumMismatch",
            f"The checksum of {content.origin} is wrong: expected {item.sha256}, it is {content.sha256}.",
            locate(f"{item.pointer}/sha256Checksum"),
            f"If you trust the file as it is now, set sha256Checksum to {content.sha256}.",
        )
    return content


class _Reader:
    """Reads addresses, each only once however many steps name it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._known = services.fetched

    def read(self, uri: str) -> bytes:
        with self._lock:
            mine = self._locks.setdefault(uri, threading.Lock())
        with mine:
            if uri not in self._known:
                try:
                    self._known[uri] = _read(uri, self._services)
                except GoldsmithError as error:
                    self._known[uri] = error
            known = self._known[uri]
        if isinstance(known, GoldsmithError):
            raise known
        return known


def _read(uri: str, services: Services) -> bytes:
    try:
        network = Network.of(services.settings)
        return read_uri(uri, services.base_dir, services.deadline, _MAX_BYTES, network=network)
    except ValueError as error:  # a NUL in a path, half an IPv6 address
        raise PreflightError(f"{uri!r} is neither a path nor a URL: {error}.") from None
