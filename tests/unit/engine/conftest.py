from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.deadline import Deadline
from builder.events import Envelope, EventBus
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings
from templates.model import ImageTemplate

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"


def make_template(name: str = "web", **properties: Any) -> ImageTemplate:
    data = {
        "source": {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12"},
        "distribute": [{"type": "VHD", "runOutputName": "out"}],
        **properties,
    }
    return ImageTemplate.model_validate(
        {
            "type": "Microsoft.VirtualMachineImages/imageTemplates",
            "apiVersion": "2024-02-01",
            "name": name,
            "properties": data,
        }
    )


def managed_image(group: str) -> dict[str, str]:
    image = f"{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/images/web"
    return {"type": "ManagedImage", "runOutputName": "image", "imageId": image, "location": "local"}


@pytest.fixture
def template() -> Callable[..., ImageTemplate]:
    return make_template


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


class Seen(list[Envelope]):
    """Everything a bus said."""

    def of(self, kind: str) -> list[Any]:
        return [item.event for item in self if item.event.kind == kind]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def services(home: Home, tmp_path: Path, seen: Seen) -> Services:
    redactor = Redactor()
    bus = EventBus(redactor)
    bus.add_sink(seen.append)
    base = tmp_path / "templates"
    base.mkdir()
    return Services(
        home=home,
        settings=Settings(),
        bus=bus,
        redactor=redactor,
        deadline=Deadline(60),
        base_dir=base,
        output_dir=tmp_path,
    )
