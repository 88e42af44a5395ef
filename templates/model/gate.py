"""What a template may say about the VHD gate: when it runs, and which of its rules it waives."""

from __future__ import annotations

from typing import Literal

GateMode = Literal["always", "remote", "off"]
"""When the gate runs: in every build, only when a target leaves this machine, never."""

GateRule = Literal[
    "vhd-footer",
    "fixed-type",
    "whole-mib",
    "file-size",
    "size-limit",
    "partition-table",
    "boot-loader",
    "standard-partitions",
    "hyperv-drivers",
    "udf-vfat",
    "serial-console",
    "boot-parameters",
    "no-os-swap",
    "ssh-server",
    "generalized",
    "provisioning-agent",
    "azure-datasource",
    "resource-disk",
]
"""The names of builder/gate's rules; a test keeps the two alike."""
