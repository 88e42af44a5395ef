"""Shell against a real sshd: what AIB and Packer scripts rely on (aib-behaviour, section 4)."""

from __future__ import annotations

import threading
import time

import pytest

from provisioners.base import ConnectionLostError, StepError, StepTimeoutError
from provisioners.shell import ShellProvisioner
from templates.model import ShellStep

from .recorder import content


def shell(*inline: str, **extra) -> ShellProvisioner:
    return ShellProvisioner(ShellStep(type="Shell", inline=list(inline), **extra), None)


def script(data: bytes | str) -> ShellProvisioner:
    return ShellProvisioner(ShellStep(type="Shell", script_uri="script.sh"), content(data))


def leftovers(guest) -> str:
    look = "ls -A /tmp /var/tmp /home/packer | grep -E 'script|goldsmith|probe' || true"
    return guest.run(["sh", "-c", look], timeout=30).stdout


def test_inline_is_one_script(guest, recorder) -> None:
    step = shell(
        "Target=blue", "cat > /tmp/doc <<EOF", "colour=$Target", 'it\'s "quoted"', "EOF", "cat /tmp/doc"
    )
    step.apply(guest, recorder.context())
    assert recorder.stdout == ["colour=blue", 'it\'s "quoted"']
    assert leftovers(guest) == ""


def test_inline_runs_as_the_build_user_by_sh_dash_e(guest, recorder) -> None:
    with pytest.raises(StepError) as caught:
        shell("id -un", "echo first; false", "echo never").apply(guest, recorder.context())
    assert recorder.stdout == ["packer", "first"]
    assert caught.value.exit_code_of_step == 1
    assert leftovers(guest) == ""


def test_own_shebang_replaces_the_default_one(guest, recorder) -> None:
    shell("#!/bin/bash", "false", "a=(1 2 3); echo ${#a[@]}").apply(guest, recorder.context())
    assert recorder.stdout == ["3"]


def test_exit_code_and_last_lines(guest, recorder) -> None:
    with pytest.raises(StepError) as caught:
        shell("for i in $(seq 1 100); do echo line $i; done", "echo broken >&2", "exit 42").apply(
            guest, recorder.context()
        )
    error = caught.value
    assert (error.exit_code_of_step, len(error.tail)) == (42, 40)
    assert "broken" in error.tail
    assert "line 100" in error.tail
    assert "42" in error.message


def test_script_uri_runs_by_sudo_with_its_own_shebang(guest, recorder) -> None:
    text = "#!/bin/bash\nid -un\necho $PACKER_BUILD_NAME $PACKER_BUILDER_TYPE\necho x >> /etc/motd\n"
    text += "false\necho on\n"
    script(text).apply(guest, recorder.context(build_name="golden", builder_type="qemu"))
    assert recorder.stdout == ["root", "golden qemu", "on"]


def test_script_without_shebang(guest, recorder) -> None:
    script("false\necho still here\n").apply(guest, recorder.context())
    assert recorder.stdout == ["still here"]


@pytest.mark.parametrize("by_uri", [False, True])
def test_env_and_secrets_arrive_whole_and_unseen(by_uri, guest, connect, recorder) -> None:
    """A second session looks at every process while the script runs."""
    value = "top'secret\"$HOME `id`\nsecond\\line "
    text = 'printf "<%s|%s>\\n" "$TOKEN" "$MODE"\necho ready\nsleep 3\n'
    step = script(f"#!/bin/sh\n{text}") if by_uri else shell(text)
    context = recorder.context(secrets={"TOKEN": value}, env={"MODE": "fast'er"})
    worker = threading.Thread(target=step.apply, args=(guest, context))
    worker.start()
    other = connect("guest")
    while "ready" not in recorder.stdout and worker.is_alive():
        time.sleep(0.05)
    seen = other.run(["sh", "-c", "ps -efww; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"], timeout=30).stdout
    files = other.run(
        ["sh", "-c", "sudo grep -rls -e secret /tmp /var/tmp /run /home /root || true"], timeout=30
    )
    worker.join()
    assert "\n".join(recorder.stdout) == f"<{value}|fast'er>\nready"
    assert "script_" in seen
    assert "secret" not in seen
    assert "fast" not in seen
    assert files.stdout == ""


def test_environment_survives_nested_sudo_dash_e(guest, recorder) -> None:
    shell("sudo -E sh -c 'echo \"$TOKEN\"'").apply(guest, recorder.context(secrets={"TOKEN": "a b"}))
    assert recorder.stdout == ["a b"]


def test_stdin_is_empty(guest, recorder) -> None:
    shell("cat", "echo end").apply(guest, recorder.context(secrets={"TOKEN": "hidden"}))
    assert recorder.stdout == ["end"]


def test_output_is_live(guest, recorder) -> None:
    shell("echo early", "sleep 2", "echo late").apply(guest, recorder.context())
    assert recorder.stdout == ["early", "late"]
    assert recorder.times[1] - recorder.times[0] > 1.5


def test_time_over(guest, recorder) -> None:
    start = time.monotonic()
    with pytest.raises(StepTimeoutError) as caught:
        shell("echo before", "sleep 60").apply(guest, recorder.context(timeout=3.0))
    assert time.monotonic() - start < 15
    assert "before" in caught.value.tail


def test_a_lost_link_is_told_apart_from_a_failure(guest, recorder) -> None:
    own_sshd = (
        'p=$$; while [ "$(ps -o comm= -p $p)" != sshd ]; do p=$(ps -o ppid= -p $p | tr -d " "); done',
        "sudo kill -KILL $p",
    )
    with pytest.raises(ConnectionLostError) as caught:
        shell("echo going", *own_sshd, "sleep 30").apply(guest, recorder.context())
    assert "did not restart" in caught.value.message
    assert "going" in caught.value.tail
    # and the guest is usable afterwards
    assert guest.run(["echo", "back"], timeout=30).stdout == "back\n"


def test_a_step_begins_after_the_link_went(guest, recorder) -> None:
    guest.disconnect()
    shell("echo here").apply(guest, recorder.context())
    assert recorder.stdout == ["here"]


def test_noexec_tmp_goes_elsewhere_and_says_so(connect, recorder) -> None:
    guest = connect("noexec_tmp")
    shell("echo $0").apply(guest, recorder.context())
    assert recorder.stdout[0].startswith("/var/tmp/script_")
    assert any("noexec" in line and "/var/tmp" in line for line in recorder.stderr)
    assert leftovers(guest) == ""


def test_noexec_everywhere_uses_the_interpreter(connect, recorder) -> None:
    guest = connect("noexec_everywhere")
    script("#!/bin/bash -u\na=(x y)\necho ${a[1]} $-\n").apply(guest, recorder.context())
    assert recorder.stdout[0].startswith("y ")
    assert "u" in recorder.stdout[0].split()[1]
    assert any("/bin/bash -u" in line for line in recorder.stderr)
    assert leftovers(guest) == ""


def test_no_sudo_is_said(connect, recorder) -> None:
    guest = connect("nosudo")
    with pytest.raises(StepError, match="without a password"):
        script("#!/bin/sh\ntrue\n").apply(guest, recorder.context())
    with pytest.raises(StepError) as caught:
        shell("sudo true").apply(guest, recorder.context())
    assert "sudoers" in (caught.value.hint or "")


def test_crlf_is_explained(guest, recorder) -> None:
    with pytest.raises(StepError) as caught:
        script("#!/bin/sh\r\necho hello\r\n").apply(guest, recorder.context())
    assert caught.value.exit_code_of_step == 127
    assert "CRLF" in (caught.value.hint or "")


def test_permission_denied_explains_the_build_user(guest, recorder) -> None:
    with pytest.raises(StepError) as caught:
        shell("mkdir /myfiles").apply(guest, recorder.context())
    assert "sudo" in (caught.value.hint or "")


def test_ten_megabytes_of_output(guest, recorder) -> None:
    shell("yes 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde | head -n 163840").apply(
        guest, recorder.context()
    )
    assert len(recorder.stdout) == 163840
    assert set(recorder.stdout) == {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"}


def test_binary_output_does_no_harm(guest, recorder) -> None:
    shell("head -c 100000 /dev/urandom", "echo", "echo end").apply(guest, recorder.context())
    assert recorder.stdout[-1] == "end"


def test_large_script(guest, recorder) -> None:
    shell(*[f"# {'x' * 100}"] * 20000, "echo done").apply(guest, recorder.context())
    assert recorder.stdout == ["done"]
