"""Which kernel replays a log, and the archive laid over its initramfs."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.vm import accelerator, replay


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        ([], []),
        (["vmlinuz-6.1.0-9-amd64", "config-6.1.0-9-amd64", "grub"], []),
        (["vmlinuz-6.1.0-9", "initrd.img-6.1.0-9"], [("vmlinuz-6.1.0-9", "initrd.img-6.1.0-9")]),
        (
            [
                *("vmlinuz-5.14.0-70.el9.x86_64", "initramfs-5.14.0-70.el9.x86_64.img"),
                *("vmlinuz-5.14.0-362.el9.x86_64", "initramfs-5.14.0-362.el9.x86_64.img"),
                *("vmlinuz-0-rescue-0123", "initramfs-0-rescue-0123.img"),
            ],
            [
                ("vmlinuz-5.14.0-362.el9.x86_64", "initramfs-5.14.0-362.el9.x86_64.img"),
                ("vmlinuz-5.14.0-70.el9.x86_64", "initramfs-5.14.0-70.el9.x86_64.img"),
            ],
        ),
    ],
)
def test_the_newest_kernel_with_its_initramfs(names: list[str], pairs: list[tuple[str, str]]) -> None:
    assert replay.kernels(names) == pairs


def test_the_archive() -> None:
    """Every piece begins at a word; 110 bytes of head, then the name with its end."""
    made = replay.cpio("run", b"hello")
    assert made[:6] == b"070701"
    assert made[14:22] == b"000081ed"
    assert made[54:62] == b"00000005"
    assert made[94:102] == b"00000004"
    assert made[110:124] == b"run\0\0\0hello\0\0\0"
    assert b"TRAILER!!!\0" in made
    assert len(made) % 4 == 0


def test_the_machine_has_the_image_and_nothing_else() -> None:
    folder = Path("/w/a,b")
    argv = replay.replay_argv("qemu", folder, Path("/w/os.vhd"), 1024, accelerator.tcg("test"))
    assert argv[argv.index("-kernel") :][:2] == ["-kernel", "/w/a,b/kernel"]
    assert any('"size": 1024' in word and '"filename": "/w/os.vhd"' in word for word in argv)
    assert "file,id=serial,path=/w/a,,b/serial" in argv
    assert {"-no-reboot", "-nodefaults"} <= set(argv)
    assert "-netdev" not in argv


@pytest.mark.parametrize(
    ("boot", "why"),
    [
        (["initrd.img-1", "vmlinuz-1"], "/boot/vmlinuz-1 or /boot/initrd.img-1 cannot be read"),
        (["grub", "vmlinuz-1"], "/boot has no kernel with an initramfs: grub, vmlinuz-1."),
        ([], "/boot has no kernel with an initramfs: it is empty."),
        (None, "/boot has no kernel with an initramfs: it is empty."),
    ],
)
def test_without_a_kernel_it_is_said_what_happened_and_what_to_do(boot: list[str] | None, why: str) -> None:
    class Nothing:
        def read(self, path: str) -> bytes | None:
            return None

        def listdir(self, path: str) -> list[str] | None:
            return boot if path == "/boot" else None

    with pytest.raises(replay.ReplayError, match="went off without unmounting") as caught:
        replay.replay(Path("x"), 1, Nothing(), [1], accelerator.tcg("test"), timeout=1)
    assert caught.value.details[0].startswith(why)
    assert "fsfreeze -f /boot" in (caught.value.hint or "")
