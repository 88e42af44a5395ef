"""Why a setting of Packer has no place in an AIB template, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable

from templates.packer.notes import NOTHING
from templates.packer.section import Reason

_LOGIN: Reason = ("implied", "the builder logs in to the machine with keys of its own", NOTHING)
_AZURE_LOGIN: Reason = ("implied", "a build on this machine needs no login to Azure", NOTHING)
_TEMPORARY: Reason = ("implied", "temporary resources exist only in Azure", NOTHING)
_CONSOLE: Reason = (
    "lost",
    "a build starts from a disk that boots by itself; nothing is typed and no installer is answered",
    "start from an image that is installed already",
)
_HARDWARE: Reason = ("implied", "the builder chooses the virtual hardware", NOTHING)
_SHUTDOWN: Reason = ("implied", "the builder generalizes the machine and shuts it down by itself", NOTHING)
_DISPLAY: Reason = ("implied", "there is no display; the serial console is in the run's folder", NOTHING)
_DISK: Reason = ("implied", "how the builder keeps its disks does not change the image", NOTHING)
_SECURITY: Reason = (
    "lost",
    "the build machine has no Secure Boot, TPM or encrypted host",
    "say it in the image definition, where machines made of the image look for it",
)
_TRANSPORT: Reason = (
    "implied",
    "how a script reaches the machine, and is removed again, is the builder's affair",
    NOTHING,
)

_Table = tuple[tuple[str, Reason], ...]

_COMMUNICATOR: _Table = (
    (r"communicator|ssh_.*|winrm_.*|temporary_key_pair_.*|skip_nat_mapping|host_port_.*", _LOGIN),
    (
        r"pause_before_connecting",
        ("implied", "the builder waits until the machine is ready", NOTHING),
    ),
)
_QEMU: _Table = (
    *_COMMUNICATOR,
    (r"boot_.*|http_.*|floppy_.*|cd_.*", _CONSOLE),
    (r"shutdown_.*|disable_shutdown", _SHUTDOWN),
    (r"headless|vnc_.*|display|use_default_display|qmp_.*", _DISPLAY),
    (
        r"accelerator",
        ("implied", "the builder takes KVM where it works", "the setting 'accelerator' chooses another"),
    ),
    (
        r"qemuargs|qemu_img_args",
        ("lost", "QEMU's arguments are the builder's own", "vmProfile.vmSize gives CPUs and memory"),
    ),
    (r"machine_type|net_.*|qemu_binary|cpu_model|sockets|cores|threads|cdrom_interface", _HARDWARE),
    (r"efi_.*|firmware|use_pflash", _HARDWARE),
    (r"vtpm|tpm_.*", _SECURITY),
    (r"disk_.*|skip_.*|use_backing_file|iso_skip_cache|iso_target_.*", _DISK),
)
_AZURE: _Table = (
    *_COMMUNICATOR,
    (
        r"client_.*|tenant_id|object_id|use_azure_cli_auth|oidc_.*|cloud_environment_name|metadata_host"
        r"|skip_create_image|managed_identity_.*",
        _AZURE_LOGIN,
    ),
    (r"temp_.*|build_key_vault_.*|skip_create_build_key_vault|custom_resource_build_prefix", _TEMPORARY),
    (r"async_resourcegroup_delete|build_resource_group_name|boot_diag_storage_account", _TEMPORARY),
    (r"sas_token_duration|public_ip_sku|accelerated_networking|spot|license_type", _TEMPORARY),
    (
        r"virtual_network_.*|private_virtual_network_.*|allowed_inbound_ip_addresses",
        ("implied", "the build machine uses a network of its own on this machine", NOTHING),
    ),
    (
        r"polling_duration_timeout|shared_image_gallery_timeout",
        (
            "lost",
            "single operations have no limit of their own",
            "properties.buildTimeoutInMinutes limits the whole build",
        ),
    ),
    (
        r"custom_data.*|user_data.*|custom_script",
        ("lost", "the machine gets no data of yours at its first boot", "do it in a step"),
    ),
    (r"secure_boot_enabled|vtpm_enabled|security_.*|encryption_at_host|disk_encryption_.*", _SECURITY),
    (
        r"managed_image_.*|keep_os_disk|disk_caching_type",
        ("lost", "an image on this machine is a plain disk, without storage tiers or snapshots", NOTHING),
    ),
    (
        r"shared_gallery_image_version_end_of_life_date",
        ("lost", "an AIB template cannot set the end of life of a version", "set it in the image definition"),
    ),
)
_STEP: _Table = (
    (
        r"pause_before|pause_after",
        (
            "lost",
            "steps have no pauses; the builder itself waits for the machine after a restart",
            "where a script needs the time, write 'sleep' into it",
        ),
    ),
    (
        r"remote_.*|skip_clean|binary|use_env_var_file|env_var_format|elevated_env_var_format"
        r"|start_retry_timeout",
        _TRANSPORT,
    ),
    (
        r"execute_command|elevated_execute_command|execution_policy|use_pwsh|debug_mode",
        (
            "lost",
            "the builder runs scripts in one way only: by their first line, or by PowerShell with the "
            "policy Bypass",
            "choose the interpreter in the script's first line",
        ),
    ),
    (
        r"valid_exit_codes",
        ("lost", "a Shell step succeeds with exit code 0 only", "let the script end with 'exit 0'"),
    ),
    (
        r"expect_disconnect",
        (
            "lost",
            "a step that restarts the machine fails: restarts are steps of their own",
            "put an x-LinuxRestart step in place of the restart",
        ),
    ),
    (
        r"check_registry|registry_keys|use_extended_validation|reboot_delay|update_max_retries"
        r"|restart_timeout|username|password",
        ("lost", "the step has no such setting", "nothing to do, unless updates need it"),
    ),
    (r"generated", ("implied", "files are read when the build begins", "make the file before the build")),
)

_STEP_KINDS: dict[str, tuple[str, str]] = {
    "shell-local": ("it runs on your machine, not in the image", "run it before 'build', in the same script"),
    "breakpoint": ("there are no breakpoints", "'build run --on-error ask' stops at a step that fails"),
    "windows-shell": ("there are no steps of cmd.exe", 'write a PowerShell step: cmd /c "…"'),
    "ansible": (
        "no step runs Ansible from outside",
        "upload the playbook in a File step and run ansible-playbook in a Shell step",
    ),
    "ansible-local": ("there is no Ansible step", "run ansible-playbook in a Shell step"),
    "": ("it is no provisioner: it has no type", "remove it"),
}
_STEP_KIND = ("there is no such step", "do the same in a Shell or PowerShell step")
_POST_PROCESSORS: dict[str, tuple[str, str]] = {
    "manifest": ("every run keeps a record of what it made", "'build runs show latest --json' prints it"),
    "checksum": ("no checksum file is written", "sha256sum FILE after the build"),
    "compress": ("images are not compressed", "compress the file after the build"),
    "vagrant": ("no Vagrant boxes are made", "make the box from the VHD after the build"),
    "shell-local": ("nothing runs after the build", "run it after 'build', in the same script"),
    "artifice": ("what a build makes is what 'distribute' says", "nothing to do"),
}
_POST_PROCESSOR = ("nothing happens after the build but what 'distribute' says", "do it after 'build'")


def reasons(table: _Table, fallback: Reason) -> Callable[[str], Reason]:
    """The reason for a key: the first pattern of `table` that it matches as a whole."""

    def reason_of(key: str) -> Reason:
        return next((reason for pattern, reason in table if re.fullmatch(pattern, key)), fallback)

    return reason_of


QEMU = reasons(_QEMU, ("lost", "it has no counterpart in an AIB template", "check what it does for you"))
AZURE = reasons(_AZURE, ("lost", "it has no counterpart in an AIB template", "check what it does for you"))
STEP = reasons(_STEP, ("lost", "the step has no such setting", "check what it does for you"))
INNER: Callable[[str], Reason] = reasons(
    ((r"disk_encryption_set_id", _SECURITY),), ("lost", "it has no counterpart here", "check what it does")
)


def of_provisioner(kind: str) -> Reason:
    """Why a provisioner of this type is no step."""
    return ("lost", *_STEP_KINDS.get(kind, _STEP_KIND))


def of_post_processor(kind: str) -> Reason:
    """Why a post-processor of this type is left out."""
    return ("lost", *_POST_PROCESSORS.get(kind, _POST_PROCESSOR))
