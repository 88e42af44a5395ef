"""No part of a Packer template is dropped silently: it is in the result, or a note speaks of it."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packer_import import SCOPE, TEMPLATES, size_for

from templates.packer.convert import import_packer
from templates.packer.document import PackerDocument
from templates.packer.hcl import read_hcl
from templates.packer.legacy import read_legacy
from templates.pointers import is_under, join

TOKEN = "TOKEN"
# They go over as something else, which tests of their own show.
OTHERWISE = ("/type", "/direction", "/disk_size", "/iso_checksum")
AZURE_KEYS = """
    image_publisher image_offer image_sku image_version image_url custom_managed_image_name
    custom_managed_image_resource_group_name shared_image_gallery plan_info subscription_id
    client_id managed_image_name managed_image_resource_group_name shared_image_gallery_destination
    shared_image_gallery_replica_count shared_gallery_image_version_exclude_from_latest
    shared_gallery_image_version_replica_count capture_container_name capture_name_prefix
    storage_account resource_group_name location vm_size os_disk_size_gb disk_additional_size
    azure_tags azure_tag os_type virtual_network_name virtual_network_subnet_name
    virtual_network_resource_group_name user_assigned_managed_identities ssh_username
    secure_boot_enabled custom_data unheard_of
""".split()  # noqa: SIM905 - a list of so many is unreadable
QEMU_KEYS = """
    iso_url iso_urls iso_checksum iso_checksum_type iso_checksum_url disk_image disk_size vm_name
    cpus memory disk_additional_size skip_resize_disk format output_directory qemuargs boot_command
    efi_boot firmware communicator ssh_password accelerator unheard_of
""".split()  # noqa: SIM905 - a list of so many is unreadable
STEP_KEYS = """
    inline script scripts execute_command inline_shebang environment_vars env timeout max_retries
    pause_before expect_disconnect source sources destination direction content valid_exit_codes
    elevated_user elevated_password restart_command restart_check_command restart_timeout
    search_criteria filters update_limit only except override name unheard_of
""".split()  # noqa: SIM905 - a list of so many is unreadable
INNER_KEYS = """
    resource_group gallery_name image_name image_version subscription replication_regions
    target_region storage_account_type specialized use_shallow_replication plan_name plan_product
    plan_publisher name value replicas disk_encryption_set_id azure-arm qemu inline unheard_of
""".split()  # noqa: SIM905 - a list of so many is unreadable
KINDS = ["shell", "file", "powershell", "windows-restart", "windows-update", "shell-local", "ansible"]

leaf = st.one_of(st.just(TOKEN), st.just(TOKEN), st.just(0), st.booleans(), st.none())
inner = st.dictionaries(st.sampled_from(INNER_KEYS), st.one_of(leaf, st.lists(leaf, max_size=2)), max_size=6)
line = st.sampled_from(["TOKEN", "A=TOKEN", "sudo reboot", "waagent -deprovision", "sysprep TOKEN", "dir/"])
value = st.one_of(leaf, st.lists(st.one_of(leaf, line), max_size=3), inner, st.lists(inner, max_size=2), line)


def part(kinds: list[str], keys: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(st.sampled_from(kinds), st.dictionaries(st.sampled_from(keys), value, max_size=8)).map(
        lambda made: {**made[1], "type": made[0]}
    )


packer_templates = st.fixed_dictionaries(
    {
        "builders": st.one_of(part(["azure-arm"], AZURE_KEYS), part(["qemu"], QEMU_KEYS)).map(
            lambda one: [one]
        ),
        "provisioners": st.lists(part(KINDS, STEP_KEYS), max_size=3),
    },
    optional={
        "post-processors": st.lists(st.one_of(leaf, inner, st.lists(inner, max_size=2)), max_size=2),
        "variables": st.dictionaries(st.sampled_from("abc"), leaf, max_size=3),
        "_comment": value,
        "unheard_of": value,
    },
)


def tokenized(data: Any, counter: Iterator[int]) -> Any:
    """`data` with a text of its own in place of each token, and a number of its own for each number."""
    if isinstance(data, dict):
        return {key: tokenized(item, counter) for key, item in data.items()}
    if isinstance(data, list):
        return [tokenized(item, counter) for item in data]
    if isinstance(data, str) and TOKEN in data:
        return data.replace(TOKEN, f"tok{next(counter)}z")
    return 70000 + next(counter) if data == 0 and not isinstance(data, bool) else data


def leaves(data: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Every text and number with its place. What is true, false or null is told by its key alone."""
    if isinstance(data, dict | list):
        for key, item in data.items() if isinstance(data, dict) else enumerate(data):
            yield from leaves(item, join(pointer, key))
    elif data is not None and not isinstance(data, bool):
        yield pointer, str(data)


def silent(document: PackerDocument, found: list[tuple[str, str]], builder: str | None = None) -> set[str]:
    """The places of what is neither in the result nor in the notes."""
    imported = import_packer(document, builder=builder, scope=SCOPE, size_for=size_for)
    result = json.dumps([imported.template, *(note.suggestion for note in imported.notes)])
    noted = {note.where.pointer for note in imported.notes}
    return {
        pointer
        for pointer, text in found
        if not any(is_under(pointer, place) for place in noted)
        # NAME=VALUE of an environment variable goes over as two texts.
        and not all(json.dumps(half)[1:-1] in result for half in text.split("=", 1))
    }


@given(packer_templates)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_leaf_is_mapped_or_listed(template):
    data = tokenized(template, itertools.count())
    document = read_legacy(json.dumps(data), TEMPLATES / "random.json")
    found = [(pointer, text) for pointer, text in leaves(data) if not pointer.endswith(OTHERWISE)]
    assert not silent(document, found)


@pytest.mark.parametrize(
    ("name", "builder"),
    [
        ("azure-ubuntu.json", None),
        ("azure-windows.json", None),
        ("qemu-debian.json", "cloud"),
        ("qemu-debian.json", "installer"),
    ],
)
def test_every_leaf_of_real_templates(name, builder):
    text = (TEMPLATES / name).read_text()
    # Those that go over in another form: texts with variables are proved by the tests of texts.
    found = [
        (pointer, item)
        for pointer, item in leaves(json.loads(text))
        if not pointer.endswith(OTHERWISE) and "{{" not in item
    ]
    assert not silent(read_legacy(text, TEMPLATES / name), found, builder)


def test_every_attribute_of_hcl2(tmp_path):
    """The same, for what a source and its blocks can hold in HCL2."""
    keys = [key for key in AZURE_KEYS if key not in ("shared_image_gallery", "plan_info", "azure_tag")]
    keys = [key for key in keys if key != "shared_image_gallery_destination"]
    lines = [f'  {key} = "tok{number}z"' for number, key in enumerate(keys)]
    blocks = [
        "shared_image_gallery",
        "plan_info",
        "shared_image_gallery_destination",
        "target_region",
        "azure_tag",
    ]
    inner = [
        f"  {name} {{\n" + "".join(f'    {key} = "in{i}x{j}z"\n' for j, key in enumerate(INNER_KEYS)) + "  }"
        for i, name in enumerate(blocks)
    ]
    body = "\n".join([*lines, *inner])
    text = f'source "azure-arm" "a" {{\n{body}\n}}\nbuild {{\n  sources = ["azure-arm.a"]\n}}\n'
    found = [(f"/source/azure-arm/a/{key}", f"tok{number}z") for number, key in enumerate(keys)]
    found += [
        (f"/source/azure-arm/a/{name}/0/{key}", f"in{i}x{j}z")
        for i, name in enumerate(blocks)
        for j, key in enumerate(INNER_KEYS)
    ]
    assert not silent(read_hcl([(tmp_path / "a.pkr.hcl", text)], tmp_path / "a.pkr.hcl"), found)
