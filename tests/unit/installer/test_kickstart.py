from __future__ import annotations

import pytest

from builder.installer import kickstart
from builder.installer.installation import MARKER, Wanted
from builder.installer.kickstart import KickstartError, Origin
from builder.installer.media import Release

RELEASES = [
    Release("rhel", "7.9"),
    Release("centos", "7.9"),
    Release("rhel", "8.4"),
    Release("rocky", "8.10"),
    Release("rhel", "9.6"),
    Release("almalinux", "9.4"),
    Release("centos-stream", "10"),
    Release("rhel", "10.0"),
]
every_release = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.variant)


def wanted(generation="V1", packages=()):
    return Wanted(generation, "packer", "", "", "", packages)


def read(release, text):
    handler, remarks = kickstart.parse(text, release, "ks")
    assert remarks == ()
    return handler


def parts(handler):
    return [(part.mountpoint, part.fstype, part.grow) for part in handler.partition.partitions]


@every_release
def test_the_layout_is_azures(release):
    bios = read(release, kickstart.render(release, wanted(), Origin()))
    assert parts(bios) == [("biosboot", "biosboot", False), ("/boot", "xfs", False), ("/", "xfs", True)]
    uefi = read(release, kickstart.render(release, wanted("V2"), Origin()))
    assert parts(uefi) == [("/boot/efi", "efi", False), ("/boot", "xfs", False), ("/", "xfs", True)]
    assert bios.clearpart.disklabel == "gpt"
    assert not bios.autopart.autopart


@every_release
def test_the_system_is_closed_until_somebody_is_let_in(release):
    handler = read(release, kickstart.render(release, wanted(), Origin()))
    assert handler.rootpw.lock
    assert handler.user.userList == []
    assert {"sshd", "NetworkManager", "chronyd"} <= set(handler.services.enabled)
    assert handler.selinux.selinux == 1


@every_release
def test_the_kernel_speaks_to_azures_console(release):
    handler = read(release, kickstart.render(release, wanted(), Origin()))
    line = handler.bootloader.appendLine
    for word in ("console=ttyS0,115200n8", "earlyprintk=ttyS0", "net.ifnames=0", "rootdelay=300"):
        assert word in line.split()
    assert "rhgb" not in line and "crashkernel" not in line


@every_release
def test_it_ends_with_the_power_off(release):
    text = kickstart.render(release, wanted(), Origin())
    assert "\npoweroff\n" in text
    assert f"{MARKER} begun" in text
    assert text.index("say installed") < text.index("say configured")


@every_release
def test_packages(release):
    text = kickstart.render(release, wanted(packages=("vim-enhanced", "@development", "-tuned")), Origin())
    handler = read(release, text)
    names = set(handler.packages.packageList)
    assert {*kickstart.AGENTS, "sudo", "openssh-server", "vim-enhanced"} <= names
    assert {group.name for group in handler.packages.groupList} == {"core", "development"}
    assert {"tuned", "dracut-config-rescue"} <= set(handler.packages.excludedList)
    # Those a user asked for by name are looked for at the end: a medium may lack any without a word.
    looked_for = next(line for line in text.splitlines() if line.startswith("wanted="))
    assert "vim-enhanced" in looked_for and "@development" not in looked_for and "tuned" not in looked_for


@every_release
def test_what_hyper_v_needs_is_in_the_initramfs(release):
    text = kickstart.render(release, wanted(), Origin())
    line = next(line for line in text.splitlines() if line.startswith("add_drivers+="))
    assert {"hv_vmbus", "hv_netvsc", "hv_storvsc", "virtio_blk"} <= set(line.split('"')[1].split())
    assert "datasource_list: [ Azure, NoCloud ]" in text


def test_only_7_and_8_have_network_scripts():
    for release in RELEASES:
        text = kickstart.render(release, wanted(), Origin())
        assert f"network_scripts='{'yes' if release.major < 9 else 'no'}'" in text


def test_7_has_its_own_name_for_an_error_section():
    """Its pykickstart (1.99) knows no %onerror, which the newer one we parse with takes for every release."""
    text = kickstart.render(RELEASES[0], wanted(), Origin())
    assert "%traceback" in text and "%onerror" not in text
    assert "--isUtc" in text and "--utc" not in text
    assert "%onerror" in kickstart.render(Release("rhel", "9.0"), wanted(), Origin())


@pytest.mark.parametrize(
    ("origin", "method"),
    [
        (Origin(), "cdrom"),
        (Origin("https://mirror.example.com/a b/os"), "url"),
    ],
)
def test_where_packages_come_from(origin, method):
    release = Release("almalinux", "9.4")
    handler = read(release, kickstart.render(release, wanted(), origin))
    assert handler.method.method == method
    if method == "url":
        assert handler.url.url == origin.source


def test_more_repositories():
    release = Release("rocky", "8.10")
    origin = Origin(repositories=("https://a.example.com/x?y=1&z=2", "https://b.example.com/"))
    handler = read(release, kickstart.render(release, wanted(), origin))
    assert [repo.baseurl for repo in handler.repo.repoList] == list(origin.repositories)


def test_a_subscription_registers_first_and_is_given_back_last():
    release = Release("rhel", "7.9")
    text = kickstart.render(release, wanted(), Origin(registration="post"))
    assert "registered='post'" in text
    assert text.index("subscription-manager register") < text.index("get() {")
    assert text.rindex("\nunregister\n") > text.index("grub2-mkconfig")
    assert "trap unregister EXIT" in text
    assert "/root/.goldsmith/subscription" in text


def test_from_red_hats_network_the_key_comes_from_the_answers_disk():
    release = Release("rhel", "9.4")
    text = kickstart.render(release, wanted(), Origin("cdn", (), "rhsm"))
    assert "%include /tmp/goldsmith-rhsm.ks" in text
    assert '--activation-key="%s"' in text
    assert not any(line in ("cdrom", "url") for line in text.splitlines())


def test_without_a_subscription_nothing_of_one_is_copied():
    text = kickstart.render(Release("rhel", "8.4"), wanted(), Origin())
    assert "cp /tmp/goldsmith/subscription" not in text


def test_the_digest_is_of_all_the_text(monkeypatch):
    before = kickstart.digest()
    assert before == kickstart.digest()
    monkeypatch.setattr(kickstart, "EPOCH", kickstart.EPOCH + 1)
    assert kickstart.digest() != before


def test_the_way_in_names_the_user():
    script = kickstart.enter_script("o'neill")
    assert script.startswith("user='o'\\''neill'\n")
    assert "authorized_keys" in script


# -- a user's own -----------------------------------------------------------------------------------

OWN = """\
cdrom
lang en_US.UTF-8
rootpw --lock
zerombr
clearpart --all
part / --fstype=xfs --grow
poweroff
%packages
@core
cloud-init
%end
%post
echo 'add_drivers+=" hv_storvsc "' >/etc/dracut.conf.d/a.conf
%end
"""
NINE = Release("rhel", "9.4")


def test_an_own_kickstart_that_is_fine():
    own = kickstart.check_own(OWN, NINE, "my.ks")
    assert own.remarks == ()
    assert own.has_cloud_init and not own.lets_us_in


def test_an_own_kickstart_that_lets_the_build_user_in():
    text = OWN.replace("cloud-init\n", "") + kickstart._ENTRY + "\n"
    own = kickstart.check_own(text, NINE, "my.ks")
    assert own.lets_us_in and not own.has_cloud_init


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lang en_US.UTF-8", "langue fr", r"my\.ks:2: Unknown command: langue"),
        ("part / --fstype=xfs --grow", "part / --fstyp=ext4 --speed=9", r"my\.ks:6: "),
        ("%end\n%post", "%post", r"my\.ks"),
        ("poweroff", "reboot", "does not end with 'poweroff'"),
        ("cloud-init\n", "", "leaves no way into the new system"),
        ("rootpw --lock", "services --disabled=sshd", "disables sshd"),
    ],
)
def test_an_own_kickstart_that_cannot_work(old, new, message):
    with pytest.raises(KickstartError, match=message) as caught:
        kickstart.check_own(OWN.replace(old, new), NINE, "my.ks")
    assert caught.value.hint


def test_an_error_shows_the_line():
    with pytest.raises(KickstartError) as caught:
        kickstart.check_own(OWN.replace("lang en_US", "langue fr"), NINE, "my.ks")
    assert caught.value.details == ("  langue fr.UTF-8",)


def test_each_release_has_its_own_grammar():
    text = OWN.replace("cdrom", "cdrom\nsshkey --username=root abc")
    kickstart.check_own(text, NINE, "my.ks")
    with pytest.raises(KickstartError, match="sshkey"):
        kickstart.check_own(text, Release("rhel", "7.9"), "my.ks")


@pytest.mark.parametrize(
    ("old", "new", "doubt"),
    [
        ("part / --fstype=xfs --grow", "", "no partitions"),
        ("part / --fstype=xfs --grow", "autopart", "swap on the OS disk"),
        ("part / --fstype=xfs --grow", "part / --fstype=xfs --grow\npart swap --size=99", "swap"),
        ("hv_storvsc", "ahci", "no hv_storvsc"),
        ("rootpw --lock", "", "neither rootpw nor user"),
    ],
)
def test_doubts_about_an_own_kickstart(old, new, doubt):
    own = kickstart.check_own(OWN.replace(old, new), NINE, "my.ks")
    assert any(doubt in remark for remark in own.remarks)


def test_nothing_is_included_or_fetched():
    text = OWN + "%include /etc/passwd\n%include http://127.0.0.1:9/x\n"
    assert kickstart.check_own(text, NINE, "my.ks").has_cloud_init
