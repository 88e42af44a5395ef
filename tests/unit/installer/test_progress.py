"""The serial console of an installer, read as it comes."""

import pytest

from builder.installer.progress import Progress
from tests.unit.installer import consoles


def follow(data: bytes, *, family="anaconda", piece: int = 7) -> tuple[Progress, list[str]]:
    """Feed it in small pieces, as a file that grows is read."""
    progress, phases = Progress(family), []
    for start in range(0, len(data), piece):
        progress.feed(data[start : start + piece])
        if not phases or phases[-1] != progress.phase:
            phases.append(progress.phase)
    return progress, phases


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_a_whole_installation(piece):
    progress, phases = follow(consoles.EL7, piece=piece)
    if piece == 1:
        assert phases == [
            "starting",
            "looking for the medium",
            "loading the installer",
            "reading the answers",
            "checking the answers",
            "setting up the disk",
            "installing packages",
            "setting up the new system",
            "installing the boot loader",
            "making the initramfs",
            "running the scripts at the end",
            "powering off",
        ]
    assert progress.begun
    assert progress.configured
    assert progress.has == ["WALinuxAgent"]
    assert progress.warnings == ["not to be had from the medium or a repository: cloud-init"]
    assert progress.trouble is None
    assert progress.failed == ""


def test_packages_are_counted_through_the_drawing_of_tmux():
    progress, phases = follow(consoles.EL8)
    assert phases[-1] == "installing packages"
    assert progress.total == 0, "the last line is not whole yet"
    progress.feed(b"\x1b[16;1H")
    assert progress.phase == "installing packages"
    assert (progress.done, progress.total) == (120, 478)
    assert progress.last_line == "Installing grub2-efi-x64.x86_64 (120/478)"
    assert progress.begun
    assert not any("\x1b" in line or "Switch tab" in line for line in progress.tail)


def test_a_phase_never_goes_back():
    progress, _ = follow(
        b"Installing boot loader\nPerforming post-installation setup tasks\nLinux version 5\n"
    )
    assert progress.phase == "installing the boot loader"


@pytest.mark.parametrize(
    ("console", "message", "lasting"),
    [
        (
            consoles.EMERGENCY,
            "did not find its own second part (stage 2) and stopped in dracut's emergency shell",
            True,
        ),
        (
            consoles.REFUSED,
            "refused the kickstart: The following problem occurred on line 12 of the kickstart file",
            True,
        ),
        (consoles.STOPPED, "stopped: Failed to mount the source at /dev/sr0", True),
        (consoles.DEAD, "died ('Pane is dead')", True),
        (
            b"[ 3.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n",
            "ended in a kernel panic: VFS: Unable to mount root fs on unknown-block(0,0)",
            True,
        ),
        (
            b"Fatal glibc error: CPU does not support x86-64-v3\r\n[ 2.0] Kernel panic - not syncing: "
            b"Attempted to kill init! exitcode=0x00007f00\r\n",
            "needs a processor of level x86-64-v3, which the VM does not have",
            True,
        ),
        (
            b"[ 90.2] Out of memory: Killed process 1522 (anaconda) total-vm:1600000kB\r\n",
            "ran out of memory: anaconda was killed",
            True,
        ),
        (b"Error setting up base repository\r\n", "found no packages: no base repository", True),
        (
            b"Failed to download metadata for repo 'goldsmith-1': Cannot download repomd.xml\n",
            "could not read the repository goldsmith-1",
            True,
        ),
        (
            b"Unable to allocate requested partition scheme.\n",
            "could not lay its partitions out on the disk",
            True,
        ),
        (
            b"cp: error writing '/mnt/x': No space left on device\n",
            "ran out of space on the disk, or in memory",
            False,
        ),
        (
            b"[ 9.9] dracut-initqueue[644]: Warning: Can't get kickstart from /dev/sr1:/ks.cfg\n",
            "could not read the answers at /dev/sr1:/ks.cfg",
            True,
        ),
        (
            b"The following problem occurred on line 3 of the kickstart file:\n",
            "refused line 3 of the kickstart",
            True,
        ),
        (
            b"dracut:/# ",
            "did not find its own second part (stage 2) and stopped in dracut's emergency shell",
            True,
        ),
    ],
)  # fmt: skip
def test_trouble_is_recognised(console, message, lasting):
    progress, _ = follow(console)
    assert progress.trouble is not None
    assert progress.trouble.message == message
    assert progress.trouble.lasting is lasting
    assert progress.trouble.hint


def test_the_first_trouble_counts_and_remarks_explain_it():
    progress, _ = follow(
        b"Warning: anaconda: failed to fetch stage2 from http://mirror.example/os\n" + consoles.EMERGENCY
    )
    assert "Warning: anaconda: failed to fetch stage2 from http://mirror.example/os" in progress.remarks
    assert progress.trouble is not None
    assert progress.trouble.message.startswith("did not find its own second part")


def test_our_answers_say_what_failed():
    progress, _ = follow(
        b"...GOLDSMITH: failed the package vim is nowhere\nGOLDSMITH: failed the installer stopped\n"
    )
    assert progress.failed == "the package vim is nowhere"


def test_a_script_that_is_shown_says_nothing():
    progress, _ = follow(
        b"+ echo 'GOLDSMITH: failed the installer stopped'\n+ echo \"GOLDSMITH: configured\"\n"
    )
    assert progress.failed == ""
    assert not progress.configured


def test_an_ordinary_installation_is_no_trouble():
    progress, _ = follow(
        b"[ 1.0] ACPI Error: No handler for Region\n[ 5.0] dracut-initqueue[1]: Warning: no IPv6\n"
        b"Warning: deprecated option\nerror: could not read the splash\n"
    )
    assert progress.trouble is None
    assert "error: could not read the splash" in progress.remarks


def test_an_error_message_that_never_comes():
    progress, _ = follow(b"The exact error message is:\n\n")
    assert progress.trouble is None
    progress.close()
    assert progress.trouble is not None
    assert progress.trouble.message == "stopped: it does not say why"


def test_bytes_that_are_no_text_and_characters_in_two_parts():
    progress = Progress("anaconda")
    progress.feed(b"\xff\xfe ok \xe2\x82")
    progress.feed(b"\xac\n")
    assert progress.last_line.endswith("ok €")
