"""The ISO source on small media, with a double for the machine that installs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import stat

import pytest

from builder.download.cache import DownloadCache
from builder.download.errors import OfflineError
from builder.errors import BuildError, NotFoundError, PreflightError
from builder.extensions import make_source
from builder.installer import install
from builder.installer.installation import Installed
from builder.installer.iso_files import MediumError, open_iso
from builder.installer.kickstart import KickstartError
from builder.secrets import SecretError
from builder.settings import Settings
from builder.sources.base import SourceDisk
from builder.sources.entry import ENTRY, Entry
from builder.vm.access import BuildAccess
from templates.model.source import IsoSource
from tests.unit.installer import made_media as made

OWN = """\
cdrom
rootpw --lock
part / --fstype=xfs --grow
poweroff
%packages
cloud-init
%end
%post
echo hv_storvsc
%end
"""


class Installer:
    """Notes what it was given, and leaves a disk."""

    def __init__(self, installed=None):
        self.installed = installed or Installed(("cloud-init",))
        self.seen = []
        self.answers = []

    def install(self, installation, disk, folder, services):
        self.seen.append(installation)
        assert installation.kernel.read_bytes() == made.KERNEL
        assert installation.initrd.read_bytes() == made.INITRD
        with open_iso(installation.answers) as files:
            self.answers.append(
                {name: files.text(name) for name in ("ks.cfg", "subscription") if files.exists(name)}
            )
        with disk.open("wb") as file:
            file.truncate(installation.disk_size)
        return self.installed


@pytest.fixture
def installer(monkeypatch):
    double = Installer()
    monkeypatch.setattr(install, "install", lambda *all_of_it: double.install(*all_of_it))  # noqa: PLW0108
    return double


@pytest.fixture
def said(services):
    events = []
    services.bus.add_sink(lambda envelope: events.append(envelope.event))
    return events


def model(file, **extensions):
    data = {
        "type": "ISO",
        "sourceUri": str(file),
        "sha256Checksum": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    return IsoSource.model_validate({**data, "x-goldsmith": {"diskSizeGB": 8, **extensions}})


@pytest.fixture
def dvd(tmp_path):
    return made.dvd(tmp_path / "rhel-8.4.iso", "Red Hat Enterprise Linux", "8.4", label="RHEL-8-4-0-BaseOS")


def test_it_is_found_by_its_type(services, dvd):
    resolved = make_source(model(dvd, generation="V2"), services).resolve()
    assert resolved.description == "Red Hat Enterprise Linux 8.4 (rhel-8.4.iso)"
    assert (resolved.exact_version, resolved.generation, resolved.size) == ("8.4", "V2", 8 * 1024**3)
    assert resolved.means == "installed by the installer on rhel-8.4.iso, once"
    assert not resolved.cached


def test_an_installation_is_paid_once(services, dvd, installer):
    wishes = model(dvd)
    disk = make_source(wishes, services).prepare()
    dvd.unlink()
    again = make_source(wishes, services)
    assert again.resolve().cached
    assert again.resolve().description == "Red Hat Enterprise Linux 8.4 (rhel-8.4.iso)"
    assert again.resolve().exact_version == "8.4"
    assert again.prepare() == disk
    assert len(installer.seen) == 1


def test_what_is_installed(services, dvd, installer):
    disk = make_source(
        model(dvd, packages=["vim-enhanced"], memoryMiB=4096, timeout="90m"), services
    ).prepare()
    (one,) = installer.seen
    assert (one.name, one.family, one.os_variant) == ("Red Hat Enterprise Linux 8.4", "anaconda", "rhel8.4")
    assert (one.generation, one.disk_size, one.memory_mib, one.time_limit) == ("V1", 8 << 30, 4096, 5400)
    assert one.command_line.startswith(
        "inst.stage2=hd:LABEL=RHEL-8-4-0-BaseOS inst.ks=hd:LABEL=OEMDRV:/ks.cfg"
    )
    assert one.marked
    assert "vim-enhanced" in installer.answers[0]["ks.cfg"]
    assert isinstance(disk, SourceDisk)
    assert disk.size == 8 << 30 and disk.seeded
    assert disk.access is not None and disk.access.user == "packer"


def test_only_the_disk_and_the_way_in_stay(services, dvd, installer):
    make_source(model(dvd), services).prepare()
    (folder,) = [path for path in services.home.bases.iterdir() if path.is_dir()]
    assert sorted(path.name for path in folder.iterdir()) == ["disk.raw", ENTRY, "meta.json"]
    assert stat.S_IMODE((folder / ENTRY).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "changed",
    [
        {"generation": "V2"},
        {"packages": ["vim-enhanced"]},
        {"diskSizeGB": 9},
        {"repositories": ["https://example.com/r"]},
        {"subscription": {"organization": {"env": "ORG"}, "activationKey": {"env": "KEY"}}},
        {"kickstartInline": OWN.splitlines()},
    ],
)
def test_what_makes_another_base(services, dvd, changed, monkeypatch):
    monkeypatch.setenv("ORG", "123456")
    monkeypatch.setenv("KEY", "secret-key")
    plain = make_source(model(dvd), services).resolve().identity
    other = make_source(model(dvd, **changed), services).resolve().identity
    assert plain.partition("-")[0] != other.partition("-")[0]


def test_how_it_is_made_does_not_depend_on_memory_and_time(services, dvd):
    plain = make_source(model(dvd), services).resolve().identity
    assert make_source(model(dvd, memoryMiB=4096, timeout="5h"), services).resolve().identity == plain


def test_a_warning_is_said_in_every_build(services, dvd, installer, said):
    installer.installed = Installed((), ("not to be had: cloud-init",))
    for _ in range(2):
        source = make_source(model(dvd), services)
        assert not source.prepare().seeded
    assert not make_source(model(dvd), services).resolve().seeded
    messages = [event.message for event in said if getattr(event, "code", "") == "Installed"]
    assert messages == ["Red Hat Enterprise Linux 8.4 (rhel-8.4.iso): not to be had: cloud-init."] * 2


def test_a_failed_installation_leaves_nothing(services, dvd, installer):
    def fail(*_arguments):
        raise BuildError("The installer stopped.")

    installer.install = fail
    with pytest.raises(BuildError, match="stopped"):
        make_source(model(dvd), services).prepare()
    assert [path for path in services.home.bases.iterdir() if path.is_dir()] == []


def test_a_wrong_checksum_is_told_before_anything(services, dvd):
    wrong = model(dvd).model_copy(update={"sha256_checksum": "0" * 64})
    with pytest.raises(PreflightError, match="is not the ISO that sha256Checksum promises"):
        make_source(wrong, services).resolve()


def test_a_plan_does_not_read_ten_gigabytes(services, dvd):
    wrong = model(dvd).model_copy(update={"sha256_checksum": "0" * 64})
    looking = dataclasses.replace(services, read_only=True)
    resolved = make_source(wrong, looking).resolve()
    assert (resolved.identity, resolved.exact_version) == ("", "8.4")
    assert not services.home.bases.exists()


def test_an_iso_that_is_not_there(services, tmp_path, dvd):
    missing = model(dvd).model_copy(update={"source_uri": "no/such.iso"})
    with pytest.raises(NotFoundError, match=r"no/such\.iso does not exist"):
        make_source(missing, services).resolve()


@pytest.mark.parametrize("uri", ["ftp://example.com/a.iso", "file://other/a.iso"])
def test_an_address_of_another_kind(services, dvd, uri):
    with pytest.raises(PreflightError):
        make_source(model(dvd).model_copy(update={"source_uri": uri}), services)


def test_an_iso_behind_a_url_comes_when_it_is_needed(services, dvd, installer, monkeypatch):
    fetched = []

    def fetch(cache, url, *, sha256, **_more):
        fetched.append(url)
        place = cache.place(url, sha256=sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(dvd.read_bytes())
        return place

    monkeypatch.setattr(DownloadCache, "fetch", fetch)
    url = "https://user:pw@example.com/rhel-8.4.iso?sig=token"
    far = model(dvd).model_copy(update={"source_uri": url})
    resolved = make_source(far, services).resolve()
    assert fetched == []
    assert resolved.description == "the system on rhel-8.4.iso (rhel-8.4.iso)"
    assert "https://example.com/rhel-8.4.iso, once" in resolved.means
    assert "token" not in repr(resolved)
    make_source(far, services).prepare()
    assert fetched == [url]


def test_offline_an_iso_behind_a_url_is_refused_before_anything(services, dvd):
    far = model(dvd).model_copy(update={"source_uri": "https://example.com/rhel.iso"})
    offline = dataclasses.replace(services, settings=Settings(offline=True))
    with pytest.raises(OfflineError, match=r"https://example\.com/rhel\.iso is not on this machine"):
        make_source(far, offline).resolve()


def test_a_medium_without_packages(services, tmp_path, monkeypatch, installer):
    monkeypatch.setenv("ORG", "123456")
    monkeypatch.setenv("KEY", "secret-key")
    boot = made.dvd(tmp_path / "boot.iso", "Red Hat Enterprise Linux", "9.4", packages=False)
    with pytest.raises(MediumError, match="only boots"):
        make_source(model(boot), services).resolve()
    make_source(
        model(boot, repositories=["https://example.com/os", "https://example.com/more"]), services
    ).prepare()
    assert "url --url=https://example.com/os" in installer.answers[0]["ks.cfg"]
    assert "ip=dhcp" in installer.seen[0].command_line
    subscription = {"organization": {"env": "ORG"}, "activationKey": {"env": "KEY"}}
    make_source(model(boot, subscription=subscription), services).prepare()
    assert "%include /tmp/goldsmith-rhsm.ks" in installer.answers[1]["ks.cfg"]


def test_a_subscription_is_on_the_answers_disk_and_nowhere_else(services, dvd, installer, monkeypatch, said):
    monkeypatch.setenv("ORG", "org-123456")
    monkeypatch.setenv("KEY", "secret-key")
    wishes = {"subscription": {"organization": {"env": "ORG"}, "activationKey": {"env": "KEY"}}}
    make_source(model(dvd, **wishes), services).prepare()
    assert installer.answers[0]["subscription"] == "org-123456\nsecret-key\n"
    assert "secret-key" not in installer.answers[0]["ks.cfg"] + repr(installer.seen)
    assert services.redactor.scrub("secret-key of org-123456") == "**** of ****"
    for path in services.home.root.rglob("*"):
        if path.is_file() and path.name != "disk.raw":
            assert b"secret-key" not in path.read_bytes()


def test_a_cached_base_needs_no_subscription(services, dvd, installer, monkeypatch):
    monkeypatch.setenv("ORG", "org-123456")
    monkeypatch.setenv("KEY", "secret-key")
    wishes = {"subscription": {"organization": {"env": "ORG"}, "activationKey": {"env": "KEY"}}}
    make_source(model(dvd, **wishes), services).prepare()
    monkeypatch.delenv("KEY")
    assert make_source(model(dvd, **wishes), services).resolve().cached


def test_a_subscription_that_is_not_there(services, dvd):
    wishes = {"subscription": {"organization": {"env": "NO_ORG"}, "activationKey": {"env": "NO_KEY"}}}
    with pytest.raises(SecretError, match="the organization: the environment variable NO_ORG is not set"):
        make_source(model(dvd, **wishes), services).resolve()


def test_a_clone_takes_no_subscription(services, tmp_path, monkeypatch):
    alma = made.dvd(tmp_path / "alma.iso", "AlmaLinux", "9.4")
    wishes = {"subscription": {"organization": {"env": "ORG"}, "activationKey": {"env": "KEY"}}}
    with pytest.raises(PreflightError, match=r"AlmaLinux 9\.4 knows no subscription"):
        make_source(model(alma, **wishes), services).resolve()


def test_an_own_kickstart_is_used_as_it_is(services, dvd, installer, tmp_path):
    (tmp_path / "my.ks").write_text(OWN)
    disk = make_source(model(dvd, kickstart="my.ks"), services).prepare()
    assert installer.answers[0]["ks.cfg"] == OWN
    assert not installer.seen[0].marked
    assert disk.access is None and disk.seeded


def test_a_mistake_in_an_own_kickstart_is_told_before_anything(services, dvd, tmp_path):
    (tmp_path / "my.ks").write_text(OWN.replace("cdrom", "cderom"))
    with pytest.raises(KickstartError, match=r"my\.ks:1: Unknown command: cderom"):
        make_source(model(dvd, kickstart="my.ks"), services).resolve()
    with pytest.raises(KickstartError, match="kickstartInline:1: "):
        make_source(model(dvd, kickstartInline=["cderom"]), services).resolve()


def test_doubts_about_an_own_kickstart_are_said_once(services, dvd, installer, said):
    text = OWN.replace("hv_storvsc", "nothing")
    make_source(model(dvd, kickstartInline=text.splitlines()), services).prepare()
    messages = [event.message for event in said if getattr(event, "code", "") == "Kickstart"]
    assert [message for message in messages if "hv_storvsc" in message] == messages[:1]


def test_debian_takes_no_kickstart(services, tmp_path):
    debian = made.debian(tmp_path / "debian.iso")
    assert make_source(model(debian), services).resolve().exact_version == "12.5.0"
    with pytest.raises(PreflightError, match="installed by a preseed"):
        make_source(model(debian, kickstartInline=["cdrom"]), services).resolve()


def test_a_base_that_lost_its_way_in_is_made_again(services, dvd, installer):
    make_source(model(dvd), services).prepare()
    (folder,) = [path for path in services.home.bases.iterdir() if path.is_dir()]
    (folder / ENTRY).unlink()
    again = make_source(model(dvd), services)
    assert not again.resolve().cached
    assert again.prepare().access is not None
    assert len(installer.seen) == 2


def test_the_way_in_survives_the_disk(tmp_path):
    access = BuildAccess.generate()
    Entry(access, False, "8.4", ("a",)).save(tmp_path)
    assert Entry.load(tmp_path) == Entry(access, False, "8.4", ("a",))
    data = json.loads((tmp_path / ENTRY).read_text())
    (tmp_path / ENTRY).write_text(json.dumps({**data, "format": 2}))
    assert Entry.load(tmp_path) is None
    (tmp_path / ENTRY).write_text("[]")
    assert Entry.load(tmp_path) is None
