from __future__ import annotations

import stat

import pytest

from builder.installer.answers import Registration, answers, boot_arguments
from builder.installer.iso_files import open_iso
from builder.installer.kickstart import KickstartError
from builder.vm.access import BuildAccess, KeyPair

ACCESS = BuildAccess(
    "packer", KeyPair("client private", "ssh-ed25519 AAAA"), KeyPair("host", "ssh-ed25519 B")
)


def test_the_disk_of_answers(tmp_path):
    target = tmp_path / "answers.iso"
    with answers(target, "# ks\n", ACCESS, Registration("12345", "key-1")) as iso:
        assert stat.S_IMODE(iso.stat().st_mode) == 0o600
        with open_iso(iso) as files:
            assert files.label == "OEMDRV"
            assert files.text("ks.cfg") == "# ks\n"
            assert files.text("build-user.pub") == "ssh-ed25519 AAAA\n"
            assert files.text("host_key") == "host"
            assert files.text("subscription") == "12345\nkey-1\n"
            assert files.text("enter.sh").startswith("user='packer'\n")
            assert "client private" not in files.text("enter.sh")
    assert not target.exists()


def test_it_goes_also_after_a_failure(tmp_path):
    target = tmp_path / "answers.iso"
    with pytest.raises(RuntimeError), answers(target, "", ACCESS, None) as iso:
        with open_iso(iso) as files:
            assert not files.exists("subscription")
        raise RuntimeError
    assert not target.exists()


@pytest.mark.parametrize("key", ["two words", "a\nb", 'say "x"', "it's"])
def test_a_key_that_is_no_word(tmp_path, key):
    with (
        pytest.raises(KickstartError, match="activation key of the subscription") as caught,
        answers(tmp_path / "a.iso", "", ACCESS, Registration("1", key)),
    ):
        pytest.fail("it was written")
    assert key not in str(caught.value)
    assert key not in repr(Registration("1", key))


def test_what_the_kernel_is_told():
    line = boot_arguments("RHEL-7.9 Server.x86_64", 7, needs_network=False).split()
    assert line[0] == r"inst.stage2=hd:LABEL=RHEL-7.9\x20Server.x86_64"
    assert "inst.ks=hd:LABEL=OEMDRV:/ks.cfg" in line
    assert "inst.gpt" in line and "ip=dhcp" not in line
    assert line[-1] == "console=ttyS0,115200n8"
    later = boot_arguments("RHEL-10-0-BaseOS-x86_64", 10, needs_network=True).split()
    assert "inst.gpt" not in later and "ip=dhcp" in later
