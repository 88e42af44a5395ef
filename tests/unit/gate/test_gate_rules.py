"""Each rule in both directions, on an image by the book of which one thing is changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from builder.errors import UsageError
from builder.gate import gate
from builder.gate.initramfs import Contents
from builder.gate.subject import Container, Subject, Table
from gate.image import (
    BIOS,
    BOTH,
    ESP,
    GIB,
    GRUB,
    KERNEL,
    TABLE,
    WORDS,
    container,
    guest,
    outcome,
    result_of,
    subject,
    system,
)
from templates.model.gate import GateRule

ROOT = Path(__file__).resolve().parents[3]


def test_the_image_by_the_book_passes_every_rule() -> None:
    results = gate.judge(subject())
    assert {one.outcome for one in results} == {"ok"}, [one for one in results if one.outcome != "ok"]
    assert all(one.said for one in results)


def test_templates_know_the_same_names() -> None:
    assert set(get_args(GateRule)) == set(gate.names())
    assert len(gate.names()) == len(set(gate.names()))


def test_every_rule_has_a_page_and_stands_in_the_docs_as_it_is() -> None:
    text = (ROOT / "docs" / "gate.md").read_text()
    for rule in gate.RULES:
        assert rule.page.startswith("https://learn.microsoft.com/en-us/azure/virtual-machines/")
        row = next(line for line in text.splitlines() if line.startswith(f"| `{rule.name}` |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert (cells[1], cells[2]) == (rule.severity, rule.title)
        assert cells[-1].endswith(f"({rule.page})")
    assert sum(line.startswith("| `") and "learn.microsoft" in line for line in text.splitlines()) == len(
        gate.RULES
    )


BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("vhd-footer", "failed", {"container": container(wrong_checksum=True)}),
    ("vhd-footer", "failed", {"container": container(version=0x20000)}),
    (
        "vhd-footer",
        "failed",
        {"container": Container(Path("a.raw"), 4 * GIB, None, "raw", "it is a raw disk")},
    ),
    ("fixed-type", "failed", {"container": container(disk_type=3, data_offset=512)}),
    ("fixed-type", "failed", {"container": container(disk_type=4, data_offset=512)}),
    ("fixed-type", "unknown", {"container": Container(Path("a"), 9, None)}),
    ("whole-mib", "failed", {"container": container(21475270656)}),
    ("whole-mib", "failed", {"container": container(0)}),
    ("file-size", "failed", {"container": replace(container(), file_size=4 * GIB)}),
    ("file-size", "unknown", {"container": container(disk_type=3)}),
    ("size-limit", "warning", {"container": container(1024 * GIB)}),
    ("size-limit", "ok", {"container": container(1023 * GIB)}),
    ("size-limit", "ok", {"container": container(2048 * GIB), "os_type": "Windows", "generation": "V1"}),
    ("size-limit", "failed", {"container": container(2049 * GIB), "os_type": "Windows", "generation": "V1"}),
    ("size-limit", "ok", {"container": container(4095 * GIB), "os_type": "Windows"}),
    ("size-limit", "failed", {"container": container(4096 * GIB), "os_type": "Windows"}),
    ("size-limit", "unknown", {"container": container(3000 * GIB), "os_type": "Windows", "generation": None}),
    ("partition-table", "failed", {"table_or_why": Table("", problem="none")}),
    ("partition-table", "failed", {"table_or_why": replace(TABLE, systems=(system(1, "", BIOS),))}),
    ("partition-table", "failed", {"table_or_why": replace(TABLE, systems=(system(1, "ntfs", ESP),))}),
    ("partition-table", "warning", {"table_or_why": Table("mbr", (system(1, "vfat", "0xef"),))}),
    ("partition-table", "failed", {"container": container(128 * 1024**2)}),
    ("partition-table", "ok", {"generation": "V1"}),
    ("partition-table", "ok", {"generation": None}),
    (
        "partition-table",
        "ok",
        {"generation": "V1", "table_or_why": Table("mbr", (system(1, "ext4", "0x83"),))},
    ),
    ("partition-table", "failed", {"generation": "V1", "table_or_why": replace(TABLE, systems=BOTH[1:])}),
    ("partition-table", "failed", {"generation": "V1", "os_type": "Windows"}),
    ("partition-table", "failed", {"generation": None, "table_or_why": replace(TABLE, systems=BOTH[2:])}),
    ("boot-loader", "failed", {"table_or_why": replace(TABLE, esp=frozenset({"/EFI/DEBIAN/GRUBX64.EFI"}))}),
    ("boot-loader", "unknown", {"table_or_why": replace(TABLE, esp="mtools is missing")}),
    ("boot-loader", "unknown", {"table_or_why": replace(TABLE, systems=BOTH[2:])}),
    ("boot-loader", "failed", {"generation": "V1", "table_or_why": replace(TABLE, boot_code=False)}),
    ("boot-loader", "ok", {"generation": "V1"}),
    ("standard-partitions", "warning", {"table_or_why": replace(TABLE, systems=(*BOTH, system(4, "LVM")))}),
    ("no-os-swap", "failed", {"table_or_why": replace(TABLE, systems=(*BOTH, system(4, "swap")))}),
]


@pytest.mark.parametrize(("rule", "expected", "changes"), BROKEN)
def test_a_rule_about_the_disk(rule: str, expected: str, changes: dict[str, Any]) -> None:
    assert outcome(rule, subject(**changes)) == expected


def grub(words: str) -> str:
    return GRUB.replace(WORDS, words)


UNIT = "/etc/systemd/system/multi-user.target.wants/"
FILES: list[tuple[str, str, dict[str, str | None]]] = [
    ("serial-console", "failed", {"/boot/grub/grub.cfg": grub("ro console=tty0")}),
    ("serial-console", "failed", {"/boot/grub/grub.cfg": grub("ro console=ttyS01")}),
    ("serial-console", "ok", {"/boot/grub/grub.cfg": grub("ro console=ttyS0")}),
    ("serial-console", "unknown", {"/boot/grub/grub.cfg": None}),
    ("boot-parameters", "warning", {"/boot/grub/grub.cfg": grub(f"{WORDS} rhgb quiet")}),
    ("boot-parameters", "warning", {"/boot/grub/grub.cfg": grub("console=ttyS0 earlyprintk=ttyS0")}),
    ("no-os-swap", "failed", {"/etc/fstab": "/swapfile none swap sw 0 0\n"}),
    ("no-os-swap", "failed", {"/etc/fstab": "UUID=2 none swap sw 0 0\n"}),
    ("no-os-swap", "ok", {"/etc/fstab": "UUID=2 none swap noauto 0 0\n"}),
    (
        "no-os-swap",
        "ok",
        {"/etc/fstab": "/mnt/resource/swapfile none swap sw 0 0\n/dev/zram0 none swap sw\n"},
    ),
    ("no-os-swap", "failed", {"/etc/systemd/system/swap.swap": "[Swap]\nWhat=/swap.img\n"}),
    ("no-os-swap", "ok", {"/etc/systemd/system/z.swap": "[Swap]\nWhat=/dev/zram0\n"}),
    ("ssh-server", "warning", {"/usr/sbin/sshd": None}),
    ("ssh-server", "warning", {f"{UNIT}ssh.service": None}),
    ("ssh-server", "ok", {f"{UNIT}ssh.service": None, "/etc/rc3.d/S01ssh": ""}),
    ("generalized", "failed", {"/etc/machine-id": "0123\n"}),
    ("generalized", "failed", {"/etc/passwd": "packer:x:1000:1000::/home/packer:/bin/sh\n"}),
    ("provisioning-agent", "warning", {"/usr/sbin/waagent": None}),
    ("provisioning-agent", "warning", {f"{UNIT}walinuxagent.service": None}),
    ("provisioning-agent", "failed", {"/usr/sbin/waagent": None, "/usr/bin/cloud-init": None}),
    ("provisioning-agent", "failed", {"/usr/bin/cloud-init": None}),
    ("provisioning-agent", "failed", {"/etc/cloud/cloud-init.disabled": ""}),
    ("provisioning-agent", "failed", {"/boot/grub/grub.cfg": grub(f"{WORDS} cloud-init=disabled")}),
    (
        "provisioning-agent",
        "ok",
        {"/usr/bin/cloud-init": None, "/etc/waagent.conf": "Provisioning.Agent=auto\n"},
    ),
    ("azure-datasource", "failed", {"/etc/cloud/cloud.cfg.d/99.cfg": "datasource_list: [NoCloud, None]\n"}),
    (
        "azure-datasource",
        "failed",
        {"/etc/cloud/cloud.cfg.d/99.cfg": "datasource_list:\n  - Ec2\n  - None\n"},
    ),
    ("azure-datasource", "ok", {"/etc/cloud/cloud.cfg.d/99.cfg": "datasource_list:\n  - Azure\n"}),
    ("azure-datasource", "ok", {"/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg": None}),
    ("azure-datasource", "notApplicable", {"/usr/bin/cloud-init": None}),
    ("resource-disk", "warning", {"/etc/waagent.conf": "ResourceDisk.Format=y\n"}),
    ("resource-disk", "notApplicable", {"/usr/bin/cloud-init": None}),
    ("udf-vfat", "failed", {"/etc/modprobe.d/CIS.conf": "install vfat /bin/true\n"}),
    ("udf-vfat", "warning", {"/etc/modprobe.d/CIS.conf": "  blacklist udf\n"}),
    ("udf-vfat", "ok", {"/etc/modprobe.d/CIS.conf": "# install udf /bin/true\ninstall cramfs /bin/true\n"}),
    ("udf-vfat", "failed", {f"/lib/modules/{KERNEL}/modules.dep": "kernel/fs/udf/udf.ko:\n"}),
    ("udf-vfat", "unknown", {f"/lib/modules/{KERNEL}/{n}": None for n in ("modules.dep", "modules.builtin")}),
]


@pytest.mark.parametrize(("rule", "expected", "changes"), FILES)
def test_a_rule_about_the_guest(rule: str, expected: str, changes: dict[str, str | None]) -> None:
    assert outcome(rule, subject(guest_or_why=guest(changes))) == expected


def with_modules(*modules: str, **changes: str | None) -> Subject:
    contents = Contents(frozenset(modules), frozenset({KERNEL}), "gzip")
    made = guest({f"/lib/modules/{KERNEL}/{name}": text for name, text in changes.items()})
    return subject(guest_or_why=replace(made, initramfs=dict.fromkeys(made.initramfs, contents)))


def test_drivers_of_hyper_v() -> None:
    assert outcome("hyperv-drivers", with_modules("hv_vmbus", "hv_netvsc")) == "failed"
    assert "hv_vmbus and hv_storvsc" in result_of("hyperv-drivers", with_modules("ext4")).said
    later = result_of("hyperv-drivers", with_modules("hv_vmbus", "hv_storvsc"))
    assert (later.outcome, later.findings[0].severity) == ("warning", "warning")
    nowhere = with_modules("hv_vmbus", "hv_storvsc", **{"modules.dep": "a.ko:\n"})
    assert outcome("hyperv-drivers", nowhere) == "failed"
    builtin = "".join(f"kernel/drivers/hv/{name}.ko\n" for name in ("hv_vmbus", "hv_storvsc", "hv-netvsc"))
    assert outcome("hyperv-drivers", with_modules(**{"modules.builtin": builtin})) == "ok"


def test_an_initramfs_that_cannot_be_read_is_a_finding() -> None:
    made = guest()
    broken = replace(made, initramfs=dict.fromkeys(made.initramfs, "its gzip data is damaged"))
    result = result_of("hyperv-drivers", subject(guest_or_why=broken))
    assert result.outcome == "failed"
    assert "damaged" in result.said
    nothing = replace(made, boot=None, unread=("/boot (LVM)",))
    assert "/boot (LVM)" in result_of("hyperv-drivers", subject(guest_or_why=nothing)).said
    assert outcome("hyperv-drivers", subject(guest_or_why=nothing)) == "unknown"


def test_what_cannot_be_looked_into_is_unknown_and_never_passes_silently() -> None:
    dark = subject(guest_or_why="partition 3: LVM", os_type=None)
    results = {one.rule: one for one in gate.judge(dark)}
    for name in ("hyperv-drivers", "serial-console", "no-os-swap", "provisioning-agent", "generalized"):
        assert (results[name].outcome, results[name].said) == ("unknown", "partition 3: LVM")
    report = gate.Report(Path("a"), None, "V2", tuple(results.values()))
    assert report.passes()
    assert not report.passes(strict=True)
    partly = subject(guest_or_why=guest(unread=("/var (btrfs)",)))
    assert outcome("generalized", partly) == "unknown"


def test_windows_has_the_rules_about_the_disk() -> None:
    windows = subject(os_type="Windows", guest_or_why="NTFS", table_or_why=TABLE)
    results = {one.rule: one.outcome for one in gate.judge(windows)}
    assert {name for name, how in results.items() if how == "ok"} == {
        *(
            "vhd-footer",
            "fixed-type",
            "whole-mib",
            "file-size",
            "size-limit",
            "partition-table",
            "boot-loader",
        ),
    }
    assert results.pop("generalized") == "unknown"
    assert results["hyperv-drivers"] == "notApplicable"


def test_a_waived_rule_is_said_and_lets_pass() -> None:
    swapping = subject(guest_or_why=guest({"/etc/fstab": "/swapfile none swap sw 0 0\n"}))
    report = gate.Report(Path("a"), "Linux", "V2", gate.judge(swapping, frozenset({"no-os-swap"})))
    assert result_of("no-os-swap", swapping, "no-os-swap").outcome == "waived"
    assert result_of("ssh-server", swapping, "ssh-server").outcome == "ok", "kept, so nothing was waived"
    assert report.passes(strict=True)
    assert report.summary == "18 rules: 17 ok, 1 waived"
    gate.require(report)


def test_what_may_not_leave_is_told_with_all_findings() -> None:
    changes = {"/etc/fstab": "/swapfile none swap sw 0 0\n", "/etc/machine-id": "0123"}
    report = gate.Report(Path("a"), "Linux", "V2", gate.judge(subject(guest_or_why=guest(changes))))
    with pytest.raises(gate.GateError) as caught:
        gate.require(report)
    error = caught.value
    assert error.message == "The image may not leave this machine: no-os-swap, generalized."
    assert any("/swapfile none swap" in line for line in error.details)
    assert any("create-upload-generic" in line for line in error.details)
    assert '"waive": ["no-os-swap", "generalized"]' in str(error.hint)
    with pytest.raises(gate.GateError) as caught:
        gate.require(report, by_hand=True)
    assert str(caught.value.hint).endswith("want it: --waive no-os-swap --waive generalized.")


def test_a_rule_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="no rule 'swap'") as caught:
        gate.require_names(["swap"])
    assert caught.value.hint == "Did you mean 'no-os-swap'?"
    with pytest.raises(UsageError) as caught:
        gate.require_names(["xyz"])
    assert "vhd-footer" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "words"),
    [("os disk.qcow2", "'os disk.qcow2' 'os disk.fixed.vhd'"), ("-x.qcow2", "./-x.qcow2 ./-x.fixed.vhd")],
)
def test_commands_to_paste_take_a_name_for_one_word(name: str, words: str) -> None:
    file = Container(Path(name), GIB, None, "qcow2", "it is a qcow2 file")
    (finding,) = result_of("vhd-footer", subject(container=file)).findings
    assert finding.fix.endswith(f"force_size=on {words}")
