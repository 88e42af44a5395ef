"""Marketplace images: what resolves to what, without making any."""

import json
import os
from dataclasses import replace

import pytest

from builder.download.errors import DownloadError, OfflineError
from builder.errors import NotFoundError, PreflightError
from builder.settings import Settings
from builder.sources.bases import BaseCache, MadeDisk
from builder.sources.catalogue.plans import PlanError
from builder.sources.marketplace import MarketplaceSource
from templates.model.source import PlatformImageSource


def _source(services, sku="12", publisher="Debian", offer="debian-12"):
    model = PlatformImageSource(type="PlatformImage", publisher=publisher, offer=offer, sku=sku)
    return MarketplaceSource(model, services)


def _own(services, recipe, **changes):
    image = {"publisher": "Acme", "offer": "os", "sku": "1", "versions": {"1.0.0": recipe}, **changes}
    services.home.root.mkdir(parents=True, exist_ok=True)
    (services.home.root / "catalogue.json").write_text(json.dumps({"format": 1, "images": [image]}))
    return _source(services, "1", "acme", "OS")


def test_debian_resolves_before_it_is_made(services):
    found = _source(services).resolve()
    assert (found.exact_version, found.generation, found.cached) == ("12.0.0", "V1", False)
    assert found.size == 4096 * 1024**2
    assert found.description == "Debian:debian-12:12:12.0.0"


def test_both_generations_start_from_the_same_base(services):
    assert _source(services, "12").resolve().identity == _source(services, "12-gen2").resolve().identity


def test_a_raw_file_is_opened_where_it_is(services):
    disk = services.base_dir / "a.raw"
    disk.write_bytes(b"x" * 1024)
    source = _own(services, {"kind": "file", "path": str(disk), "format": "raw"})
    resolved = source.resolve()
    assert (resolved.size, resolved.cached) == (1024, True)
    assert source.prepare().graph.top.path == disk
    disk.write_bytes(b"y" * 1024)
    again = _own(services, {"kind": "file", "path": str(disk), "format": "raw"})
    assert again.resolve().identity != resolved.identity


@pytest.mark.parametrize(
    ("content", "written", "says"),
    [
        (b"x" * 100, "raw", "no whole number of sectors"),
        (b"x" * 1024, "qcow2", "not a qcow2 disk, as declared"),
        (b"QFI\xfb\0\0\0\3" + b"\0\0\0\0\0\0\2\0" + b"\0" * 100, "qcow2", "is an overlay"),
    ],
)
def test_files_that_are_not_what_they_claim(services, content, written, says):
    disk = services.base_dir / "a.img"
    disk.write_bytes(content)
    with pytest.raises(PreflightError, match=says):
        _own(services, {"kind": "file", "path": str(disk), "format": written}).resolve()


def test_what_a_guest_wrote_at_the_start_of_a_fixed_vhd_is_no_header(services):
    from tests.unit.disk.test_formats import fixed_vhd, qcow2

    disk = services.base_dir / "a.img"
    disk.write_bytes(fixed_vhd(qcow2(backing=2048)))  # what the guest wrote at its start is no header
    source = _own(services, {"kind": "file", "path": str(disk)})
    assert source.resolve().cached
    layer = source.prepare().graph.top
    assert (layer.path, layer.format, layer.size) == (disk, "raw", disk.stat().st_size - 512)


def test_a_format_that_nobody_declared_and_nobody_knows_is_asked_for(services):
    disk = services.base_dir / "a.img"
    disk.write_bytes(bytes(1024))
    with pytest.raises(PreflightError, match="Nobody can say"):
        _own(services, {"kind": "file", "path": str(disk)}).resolve()


def test_offline_says_what_is_missing_before_anything_is_made(services):
    from dataclasses import replace

    offline = replace(services, settings=Settings(offline=True))
    with pytest.raises(PreflightError, match="made of packages, which are not fetched offline") as caught:
        _source(offline).resolve()
    assert "build marketplace fetch Debian:debian-12:12" in (caught.value.hint or "")
    recipe = {"kind": "download", "url": "https://h.example/a.vhd", "sha256": "a" * 64}
    with pytest.raises(PreflightError, match="offline nothing is fetched") as caught:
        _own(offline, recipe).resolve()
    assert str(services.home.downloads / ("a" * 64)) in (caught.value.hint or "")


def test_a_missing_file_and_a_wrong_digest(services):
    recipe = {"kind": "file", "path": "none.raw", "format": "raw"}
    with pytest.raises(NotFoundError, match=r"none\.raw"):
        _own(services, recipe).resolve()
    (services.home.root / "none.raw").write_bytes(b"x" * 512)
    with pytest.raises(PreflightError, match="promises"):
        _own(services, {**recipe, "sha256": "0" * 64}).resolve()


def test_what_is_no_file_is_not_opened(services):
    """A pipe that nobody writes to would be waited for without end."""
    os.mkfifo(services.base_dir / "pipe")
    for path in (services.base_dir / "pipe", services.base_dir):
        for declared in ({}, {"format": "raw"}):
            with pytest.raises(NotFoundError, match=r"is no file") as caught:
                _own(services, {"kind": "file", "path": str(path), **declared}).resolve()
            assert "the catalogue 'yours'" in (caught.value.hint or "")


def test_a_base_that_was_proved_by_less_is_another(services):
    sums = {"url": "https://x.example/S", "style": "none"}
    recipe = {"kind": "download", "url": "https://x.example/a.img"}
    unsigned = _own(services, {**recipe, "sums": sums})._key
    signed = _own(services, {**recipe, "sums": {**sums, "style": "inline", "keyring": "acme.gpg"}})._key
    other = _own(services, {**recipe, "sums": {**sums, "style": "inline", "keyring": "evil.gpg"}})._key
    assert len({unsigned, signed, other}) == 3


def test_arm64_is_refused(services):
    recipe = {"kind": "bootstrap", "suite": "bookworm"}
    with pytest.raises(PreflightError, match="Arm64"):
        _own(services, recipe, architecture="Arm64").resolve()


def test_a_debian_12_made_before_there_were_other_families_is_found_again(services, monkeypatch, tmp_path):
    monkeypatch.setattr("builder.sources.mirrors.APT", tmp_path)
    found = _source(services).resolve()
    assert found.identity.startswith("f71fa97b3ba410850d2b096b78f901ee56abb726fae484ddde3028e931943601-")


def test_ubuntus_packages_make_another_base_than_debians(services):
    recipe = {"kind": "bootstrap", "suite": "noble"}
    debian = _own(services, recipe).resolve()
    ubuntu = _own(services, {**recipe, "distribution": "ubuntu"}).resolve()
    assert debian.identity.partition("-")[0] != ubuntu.identity.partition("-")[0]
    assert ubuntu.means == "bootstrapped from the packages of Ubuntu noble"


def test_the_setting_chooses_among_recipes(services):
    from dataclasses import replace

    model = {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server"}
    default = _source(services, **model).resolve()
    assert default.means.startswith("downloaded from https://")
    assert (default.size, default.bootstrapped) == (0, False)
    chosen = replace(services, settings=Settings(source_recipe="bootstrap"))
    assert _source(chosen, **model).resolve().bootstrapped


@pytest.mark.parametrize(
    ("name", "says", "advice"),
    [
        (("RedHat", "RHEL", "8-gen2"), "RHEL 8", '"type": "ISO"'),
        (("MicrosoftWindowsServer", "WindowsServer", "2022-datacenter"), "evaluation VHD", "provide Micro"),
    ],
)
def test_what_nobody_may_hand_out_is_asked_for(services, name, says, advice):
    with pytest.raises(NotFoundError, match="is yours to bring") as caught:
        _source(services, name[2], name[0], name[1]).resolve()
    assert says in caught.value.details[0]
    assert advice in (caught.value.hint or "")


def test_windows_gets_devices_it_knows(services):
    disk = services.base_dir / "w.raw"
    disk.write_bytes(b"x" * 1024)
    recipe = {"kind": "file", "path": str(disk), "format": "raw"}
    assert _own(services, recipe, osType="Windows").resolve().devices == "compatible"
    assert _own(services, recipe).resolve().devices == "virtio"


PLAN = {"name": "9-base", "product": "rockylinux-x86_64", "publisher": "resf"}


def _with_plan(services, plan, given):
    image = {"plan": plan} if plan else {}
    source = _own(services, {"kind": "bootstrap", "suite": "bookworm"}, **image)
    info = given and {"planName": given[0], "planProduct": given[1], "planPublisher": given[2]}
    source._model = PlatformImageSource.model_validate(
        {"type": "PlatformImage", "publisher": "acme", "offer": "os", "sku": "1", "planInfo": info}
    )
    return source


@pytest.mark.parametrize(
    ("plan", "given"),
    [
        (None, None),
        (PLAN, ("9-base", "rockylinux-x86_64", "resf")),
        (PLAN, ("9-BASE", "rockylinux-x86_64", "RESF")),
        ({**PLAN, "required": False}, None),
    ],
)
def test_a_plan_that_matches_passes(services, plan, given):
    assert _with_plan(services, plan, given).resolve().exact_version == "1.0.0"


@pytest.mark.parametrize(
    ("plan", "given", "says", "detail"),
    [
        (
            PLAN,
            None,
            "has no planInfo",
            '"planInfo": {"planName": "9-base", "planProduct": "rockylinux-x86_64"',
        ),
        (None, ("a", "b", "c"), "without a purchase plan", "c:b:a"),
        (PLAN, ("8-base", "rockylinux-x86_64", "resf"), "is not the purchase plan", "planName is '8-base'"),
        ({**PLAN, "required": False}, ("8-base", "x", "resf"), "is not the purchase plan", "planName is"),
    ],
)
def test_a_plan_that_azure_would_refuse_is_refused(services, plan, given, says, detail):
    with pytest.raises(PlanError, match=says) as caught:
        _with_plan(services, plan, given).resolve()
    assert any(detail in line for line in caught.value.details)


def test_a_base_that_would_be_another_tomorrow_says_what_it_is_today(services):
    source = _source(services)
    resolved = source.resolve()
    assert resolved.frozen == ""
    _make(services, source, resolved.identity, "")
    assert _source(services).resolve().frozen.startswith("made on 2")


def test_a_file_behind_a_moving_address_is_frozen_at_its_digest(services):
    name = {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server"}
    source = _source(services, **name)
    first = source.resolve()
    assert first.identity == _source(services, **name).resolve().identity, "drawn once until it is made"
    _make(services, source, first.identity, "sha256:" + "ab" * 32)
    again = _source(services, **name).resolve()
    assert (again.cached, again.identity) == (True, first.identity)
    assert again.frozen.endswith(", sha256:" + "ab" * 32)


def _make(services, source, identity, digest):
    def maker(folder):
        disk = folder / "disk.raw"
        disk.write_bytes(b"x" * 512)
        return MadeDisk(disk, "raw", 512, digest)

    cache = BaseCache(services.home.bases)
    cache.make(source._key, identity, "it", maker, deadline=services.deadline, bus=services.bus)


def test_a_promised_file_is_read_once(services, monkeypatch):
    import hashlib
    import os

    disk = services.base_dir / "a.raw"
    disk.write_bytes(b"x" * 1024)
    os.utime(disk, (1, 1))
    (services.home.root / "cache").mkdir(parents=True)
    digest = hashlib.sha256(b"x" * 1024).hexdigest()
    recipe = {"kind": "file", "path": str(disk), "format": "raw", "sha256": digest}
    first = _own(services, recipe).resolve()
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert _own(services, recipe).resolve().identity == first.identity


def test_a_base_is_not_made_anew_under_a_build(services, monkeypatch):
    from builder.errors import InUseError
    from builder.lock import FileLock

    source = _source(services)
    assert source.renew() is False
    identity = source.resolve().identity
    _make(services, source, identity, "")
    lock = FileLock(services.home.staging / ".locks/IT_x.lock")
    assert lock.try_acquire(by="build")
    with pytest.raises(InUseError):
        source.renew()
    assert _source(services).resolve().identity == identity
    lock.release()

    def fails(_self, _recipe, _folder):
        raise DownloadError("the mirror is gone")

    monkeypatch.setattr(MarketplaceSource, "_bootstrap", fails)
    with pytest.raises(DownloadError):
        source.renew()
    kept = _source(services).resolve()
    assert (kept.cached, kept.identity) == (True, identity)

    def works(_self, _recipe, folder):
        (folder / "disk.raw").write_bytes(b"new")
        return MadeDisk(folder / "disk.raw", "raw", 3)

    monkeypatch.setattr(MarketplaceSource, "_bootstrap", works)
    assert source.renew() is True
    again = _source(services).resolve()
    assert (again.cached, again.identity == identity) == (True, False)
    assert (services.home.bases / source._key / "disk.raw").read_bytes() == b"new"


def test_offline_a_download_is_not_given_up(services):
    recipe = {"kind": "download", "url": "https://x.example/a.qcow2", "sha256": "a" * 64}
    source = _own(services, recipe)
    identity = source.resolve().identity
    _make(services, source, identity, "")
    offline = replace(services, settings=Settings(offline=True))
    with pytest.raises(OfflineError):
        _source(offline, "1", "acme", "OS").renew()
    assert _source(services, "1", "acme", "OS").resolve().cached


def test_a_fixed_vhd_is_used_where_it_is_without_its_footer(services):
    from disk.vhd_file import MIB, write_vhd

    disk = write_vhd(services.base_dir / "w.vhd", 2 * MIB, b"data")
    for recipe in ({"format": "vhd"}, {}):
        source = _own(services, {"kind": "file", "path": str(disk), **recipe})
        assert (source.resolve().cached, source.resolve().size) == (True, 2 * MIB)
        top = source.prepare().graph.top
        assert (top.path, top.format, top.size) == (disk, "raw", 2 * MIB)


def test_a_raw_disk_that_looks_like_something_else_is_told_of(services):
    said = []
    services.bus.add_sink(lambda envelope: said.append(getattr(envelope.event, "message", "")))
    disk = services.base_dir / "a.raw"
    disk.write_bytes(b"\x1f\x8b\x08".ljust(1024, b"x"))
    assert _own(services, {"kind": "file", "path": str(disk), "format": "raw"}).resolve().size == 1024
    assert any("looks like compressed with gzip" in message for message in said)
