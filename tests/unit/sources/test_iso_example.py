"""examples/rhel-iso, without the medium it needs and with a small one of the same layout."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import templates
from builder.extensions import make_source
from builder.submit import survey
from builder.validation import check_file
from tests.unit.installer import made_media as made

EXAMPLE = Path(__file__).parents[3] / "examples" / "rhel-iso" / "template.json"


def _read(iso, sha256):
    scope = templates.DeploymentScope("SUB", "GRP", "local")
    return templates.read(EXAMPLE, parameters={"iso": iso, "sha256": sha256}, defaults=scope)


def test_it_is_valid_without_its_medium(services):
    found = check_file(
        EXAMPLE, lambda: _read("rhel.iso", "0" * 64), services.home, services.settings, offline=True
    )
    assert [problem for check in found.checks for problem in check.problems] == []


def test_its_source_is_found_on_a_medium(services, tmp_path):
    dvd = made.dvd(tmp_path / "rhel.iso", "Red Hat Enterprise Linux", "8.4")
    document = _read("rhel.iso", hashlib.sha256(dvd.read_bytes()).hexdigest())
    source = make_source(document.templates[0].properties.source, services)
    assert source.resolve().description == "Red Hat Enterprise Linux 8.4 (rhel.iso)"
    assert source.resolve().generation == "V2"


def test_a_plan_says_what_it_would_install(services, tmp_path, monkeypatch):
    from builder import preflight

    for check in ("check_for_build", "check_for_bootstrap"):
        monkeypatch.setattr(preflight.doctor, check, list)
    monkeypatch.setattr("builder.submit.check_firmware", lambda _generation: None)
    dvd = made.dvd(tmp_path / "rhel.iso", "Red Hat Enterprise Linux", "8.4")
    document = _read("rhel.iso", hashlib.sha256(dvd.read_bytes()).hexdigest())
    looking = dataclasses.replace(services, base_dir=tmp_path)
    found = survey(document, document.templates[0], looking)
    assert found.source.means == "installed by the installer on rhel.iso, once"
    assert not found.source.cached
    made_first = found.changes[0]
    assert (made_first.action, made_first.kind) == ("create", "base")
    assert made_first.name == "Red Hat Enterprise Linux 8.4 (rhel.iso)"
    assert not services.home.bases.exists()
