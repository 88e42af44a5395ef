"""Provisioners, one by one."""

import pytest
from packer_import import azure, convert, notes, read, steps


def one(provisioner, tmp_path):
    found = convert(azure(provisioner), tmp_path)
    return steps(found), found


def test_commands_without_sudo_stay_as_they_are(tmp_path):
    made, found = one({"type": "shell", "inline": ["make", "make install"]}, tmp_path)
    assert made == [{"type": "Shell", "inline": ["make", "make install"]}]
    assert "provisioners[0]" not in notes(found)


@pytest.mark.parametrize(
    ("execute", "shebang", "first"),
    [
        ("sudo -E sh '{{ .Path }}'", None, "#!/usr/bin/env -S sudo -n -E /bin/sh -e"),
        ("{{.Vars}} sudo bash {{.Path}}", "/bin/bash -e", "#!/usr/bin/env -S sudo -n -E /bin/bash -e"),
        ("bash {{.Path}}", "/bin/bash -e", "#!/bin/bash -e"),
    ],
)
def test_how_commands_run(execute, shebang, first, tmp_path):
    provisioner = {"type": "shell", "inline": ["id"], "execute_command": execute, "inline_shebang": shebang}
    made, found = one(provisioner, tmp_path)
    assert made[0]["inline"] == [first, "id"]
    assert "provisioners[0].execute_command" in notes(found)


def test_a_script_is_said_to_run_as_root_where_packer_did_not(tmp_path):
    made, found = one({"type": "shell", "script": "a.sh"}, tmp_path)
    assert made == [{"type": "Shell", "scriptUri": "a.sh"}]
    assert "root" in notes(found, "changed")["provisioners[0]"]
    _, found = one({"type": "shell", "script": "a.sh", "execute_command": "sudo {{.Path}}"}, tmp_path)
    assert "provisioners[0]" not in notes(found, "changed")


@pytest.mark.parametrize(
    "line",
    ["reboot", "sudo reboot", "sudo systemctl reboot", "sudo shutdown -r now", "/sbin/reboot", "init 6"],
)
def test_a_restart_becomes_a_step(line, tmp_path):
    made, found = one({"type": "shell", "inline": ["true", line], "expect_disconnect": True}, tmp_path)
    assert made == [{"type": "Shell", "inline": ["true"]}, {"type": "x-LinuxRestart"}]
    assert "provisioners[0].expect_disconnect" in notes(found, "implied")


@pytest.mark.parametrize("line", ["echo reboot", "rebooter", "reboot || true"])
def test_what_is_no_restart_stays(line, tmp_path):
    made, _ = one({"type": "shell", "inline": [line]}, tmp_path)
    assert made == [{"type": "Shell", "inline": [line]}]


def test_a_shell_step_without_commands_is_listed(tmp_path):
    made, found = one({"type": "shell", "environment_vars": ["A=1"]}, tmp_path)
    assert made == []
    assert "provisioners[0]" in notes(found)


def test_environment(tmp_path):
    provisioner = {
        "type": "shell",
        "inline": ["env"],
        "environment_vars": ["A=1=2", "bad", "B={{user `b`}}", "A=3"],
        "env": {"C": True, "D": ["x"]},
    }
    data = {**azure(provisioner), "variables": {"b": "two"}}
    found = convert(data, tmp_path)
    assert steps(found)[0]["x-goldsmith"]["env"] == {"A": "3", "B": "{{ b | default('two') }}", "C": "true"}
    lost = notes(found, "lost")
    assert {
        f"provisioners[0].{place}" for place in ("environment_vars[1]", "environment_vars[0]", "env.D")
    } <= set(lost)
    assert read(found, tmp_path).templates[0].properties.customize[0].extensions.env["B"] == "two"


def test_a_secret_comes_from_where_packer_takes_it(tmp_path):
    provisioner = {
        "type": "shell",
        "inline": ["env"],
        "environment_vars": ["A={{user `a`}}", "B={{user `b`}}"],
    }
    data = {
        **azure(provisioner),
        "variables": {"a": "{{env `TOKEN`}}", "b": "x"},
        "sensitive-variables": ["a", "b"],
    }
    made = steps(convert(data, tmp_path))
    assert made[0]["x-goldsmith"] == {"secrets": {"A": {"env": "TOKEN"}, "B": {"env": "PKR_VAR_b"}}}


def test_files(tmp_path):
    made, found = one({"type": "file", "sources": ["a/b.txt", "c.txt"], "destination": "/tmp/"}, tmp_path)
    assert [(step["sourceUri"], step["destination"]) for step in made] == [
        ("a/b.txt", "/tmp/b.txt"),
        ("c.txt", "/tmp/c.txt"),
    ]
    assert "provisioners[0].destination" in notes(found, "changed")


@pytest.mark.parametrize(
    ("provisioner", "place"),
    [
        ({"source": "www/", "destination": "/tmp/www"}, "provisioners[0]"),
        ({"source": "/a", "destination": "b", "direction": "download"}, "provisioners[0]"),
        ({"content": "text", "destination": "/tmp/a"}, "provisioners[0].content"),
    ],
)
def test_files_that_no_step_can_bring(provisioner, place, tmp_path):
    made, found = one({"type": "file", **provisioner}, tmp_path)
    assert made == []
    assert place in notes(found, "lost")


def test_limits_of_a_step(tmp_path):
    made, found = one({"type": "shell", "inline": ["x"], "timeout": "soon", "max_retries": "3"}, tmp_path)
    assert made[0]["x-goldsmith"] == {"retry": 3}
    assert "provisioners[0].timeout" in notes(found, "lost")


def test_an_override_of_this_builder_counts(tmp_path):
    override = {"azure-arm": {"inline": ["b"]}, "qemu": {"inline": ["c"]}}
    made, found = one({"type": "shell", "inline": ["a"], "override": override}, tmp_path)
    assert made[0]["inline"] == ["b"]
    assert {"provisioners[0].inline", "provisioners[0].override.qemu"} <= set(notes(found, "implied"))


@pytest.mark.parametrize("kind", ["shell-local", "breakpoint", "ansible", "chef-client", "windows-shell"])
def test_other_provisioners_are_listed(kind, tmp_path):
    made, found = one({"type": kind, "command": "x"}, tmp_path)
    assert made == []
    assert "provisioners[0]" in notes(found, "lost")


@pytest.mark.parametrize("provisioner", ["shell", {"inline": ["x"]}, None, 5])
def test_what_is_no_provisioner_is_listed(provisioner, tmp_path):
    found = convert(azure(provisioner), tmp_path)
    assert "provisioners[0]" in notes(found, "lost")
