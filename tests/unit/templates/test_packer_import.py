"""Whole Packer templates: what comes out reads as a template, and what does not go over is listed."""

import json

import pytest
from packer_import import TEMPLATES, azure, convert, load, notes, read, steps

from templates.errors import ExitCode
from templates.packer.document import PackerError


def test_azure_on_linux(tmp_path):
    found = load(TEMPLATES / "azure-ubuntu.json")
    properties = found.template["properties"]
    assert properties["source"] == {
        "type": "PlatformImage",
        "publisher": "Canonical",
        "offer": "0001-com-ubuntu-server-jammy",
        "sku": "{{ image_sku | default('22_04-lts-gen2') }}",
        "version": "latest",
        "planInfo": {"planName": "shop", "planProduct": "web", "planPublisher": "acme"},
    }
    assert properties["vmProfile"] == {"vmSize": "Standard_D2s_v3", "osDiskSizeGB": 64}
    assert properties["additionalDataDisks"] == [{"sizeGB": 32}]
    gallery, image = properties["distribute"]
    assert gallery["galleryImageId"].endswith(
        "/galleries/shop/images/web/versions/{{ release | default('1.4') }}.0"
    )
    assert gallery["excludeFromLatest"] is True
    assert gallery["targetRegions"] == [
        {"name": "westeurope", "storageAccountType": "Standard_ZRS"},
        {"name": "northeurope", "storageAccountType": "Standard_ZRS"},
    ]
    assert image["location"] == "{{ location | default('West Europe') }}"
    assert image["artifactTags"]["team"] == "shop"
    said = notes(found)
    for place in (
        "builders[0].client_id",
        "builders[0].shared_image_gallery_timeout",
        "builders[0].managed_image_storage_account_type",
        "provisioners[1]",
        "provisioners[5]",
        "post-processors[0]",
        "post-processors[1][1]",
        "_comment",
    ):
        assert place in said


def test_azure_on_linux_reads(tmp_path):
    template = read(load(TEMPLATES / "azure-ubuntu.json"), tmp_path).templates[0]
    source = template.properties.source
    assert source.sku == "22_04-lts-gen2"
    shell = template.properties.customize[1]
    assert shell.inline[0] == "#!/usr/bin/env -S sudo -n -E /bin/sh -e"
    assert shell.inline[-1] == "docker ps --format '{{.Names}}'"
    assert shell.extensions.env == {"RELEASE": "1.4", "DEBIAN_FRONTEND": "noninteractive"}
    assert shell.extensions.secrets["DB_PASSWORD"].env == "PKR_VAR_db_password"
    assert (shell.extensions.timeout, shell.extensions.retry) == ("10m", 10)


def test_steps_of_azure_on_linux():
    kinds = [step["type"] for step in steps(load(TEMPLATES / "azure-ubuntu.json"))]
    # The folder, the local command and the deprovisioning are no steps; the restart became one.
    assert kinds == ["File", "Shell", "Shell", "Shell", "Shell", "x-LinuxRestart"]


def test_azure_on_windows(tmp_path):
    found = load(TEMPLATES / "azure-windows.json")
    template = read(found, tmp_path).templates[0]
    assert template.properties.source.image_version_id == (
        "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/golden/providers"
        "/Microsoft.Compute/galleries/base/images/windows/versions/1.2.3"
    )
    assert template.properties.vm_profile.os_disk_size_gb == 127
    (vhd,) = template.properties.distribute
    assert (vhd.type, vhd.run_output_name) == ("VHD", "win2022")
    features, updates, restart, tools = template.properties.customize
    assert (features.run_elevated, features.run_as_system) == (True, True)
    assert features.valid_exit_codes == [0, 3010]
    assert features.extensions.env == {"STAGE": "image"}
    assert (updates.search_criteria, updates.filters, updates.update_limit) == (
        "IsInstalled=0",
        ["include:$true"],
        25,
    )
    assert (restart.restart_timeout, restart.restart_check_command[:10]) == ("30m", "powershell")
    assert (tools.script_uri, tools.run_elevated, tools.run_as_system) == ("scripts/tools.ps1", True, False)
    said = notes(found, "changed")
    assert "sysprep" in said["provisioners[5]"]
    assert "variables.disk" in said


def test_qemu_with_a_disk_image(tmp_path):
    found = load(TEMPLATES / "qemu-debian.json", "cloud")
    template = read(found, tmp_path).templates[0]
    source = template.properties.source
    (note,) = [note for note in found.notes if note.suggestion]
    assert note.kind == "fill"
    image = note.suggestion["images"][0]
    assert (source.publisher, source.offer, source.sku) == (image["publisher"], image["offer"], image["sku"])
    assert image["generation"] == "V2"
    assert image["versions"]["1.0.0"] == {
        "kind": "download",
        "url": "https://images.example.com/debian-12-generic-amd64.qcow2",
        "sha256": "0123456789abcdef" * 4,
        "format": "qcow2",
    }
    assert template.properties.vm_profile.vm_size == "Standard_D2s_v5"
    assert template.properties.vm_profile.os_disk_size_gb == 20
    assert template.properties.distribute[0].run_output_name == "debian-12"
    shell, script = template.properties.customize
    assert shell.inline == ["#!/bin/bash -eux", "export http_proxy=", "echo cloud 2.0.0"]
    assert script.script_uri == "scripts/cloud.sh"


def test_qemu_with_an_installer():
    found = load(TEMPLATES / "qemu-debian.json", "installer")
    assert found.template["properties"]["source"] == {
        "type": "ISO",
        "sourceUri": "https://images.example.com/netinst.iso",
        "sha256Checksum": "<sha256>",
    }
    assert found.template["properties"]["vmProfile"] == {"osDiskSizeGB": 10}
    assert {"builders[1].iso_urls[0]", "builders[1].iso_checksum"} <= set(notes(found, "fill"))
    assert {"builders[1].boot_command", "builders[1].http_directory"} <= set(notes(found, "lost"))
    assert "builders[0]" in notes(found, "lost")


def test_a_note_says_where_it_is_about():
    found = load(TEMPLATES / "qemu-debian.json", "installer")
    (note,) = [note for note in found.notes if note.what == "builders[1].boot_command"]
    text = (TEMPLATES / "qemu-debian.json").read_text()
    assert "boot_command" in text.splitlines()[note.where.line - 1]
    assert note.where.pointer == "/builders/1/boot_command"


def test_notes_never_quote_a_secret():
    found = load(TEMPLATES / "azure-ubuntu.json")
    assert "hunter2" not in json.dumps(found.template)
    assert not [note for note in found.notes if "hunter2" in f"{note}"]


def test_several_builders_want_a_choice():
    with pytest.raises(PackerError) as caught:
        load(TEMPLATES / "qemu-debian.json")
    assert "cloud, installer" in caught.value.details[0]
    assert caught.value.exit_code is ExitCode.BAD_TEMPLATE


@pytest.mark.parametrize(
    ("data", "builder", "message"),
    [
        ({"resources": []}, None, "no 'builders'"),
        ([1], None, "no 'builders'"),
        ({"builders": []}, None, "no builder"),
        ({"builders": {}}, None, "must be an array"),
        ({"builders": [{"name": "x"}]}, None, "needs a 'type'"),
        ({"builders": ["qemu"]}, None, "needs a 'type'"),
        ({"builders": [{"type": "amazon-ebs"}]}, None, "amazon-ebs"),
        ({"builders": [{"type": "amazon-ebs"}]}, "amazon-ebs", "amazon-ebs"),
        ({"builders": [{"type": "qemu"}]}, "other", "no builder 'other'"),
        ({"builders": [{"type": "qemu"}, {"type": "qemu"}]}, None, "two builders"),
        ({"builders": [{"type": "qemu"}], "provisioners": {}}, None, "must be an array"),
        ({"builders": [{"type": "qemu"}], "variables": []}, None, "must be an object"),
    ],
)
def test_what_is_no_packer_template_is_refused(data, builder, message, tmp_path):
    with pytest.raises(PackerError) as caught:
        convert(data, tmp_path, builder)
    assert message in caught.value.message
    assert caught.value.exit_code is ExitCode.BAD_TEMPLATE


def test_the_only_builder_of_a_known_type_is_taken(tmp_path):
    data = azure()
    data["builders"].append({"type": "amazon-ebs", "region": "us-east-1"})
    found = convert(data, tmp_path)
    assert found.builder == "azure-arm"
    assert "amazon-ebs" in notes(found, "lost")["builders[1]"]


def test_a_builder_without_a_target_gets_a_vhd(tmp_path):
    found = convert(azure(managed_image_name=""), tmp_path)
    assert [target["type"] for target in found.template["properties"]["distribute"]] == ["VHD"]
    assert "builders[0]" in notes(found, "changed")


def test_what_is_missing_becomes_a_placeholder(tmp_path):
    data = azure(image_sku="", managed_image_resource_group_name=None)
    found = convert(data, tmp_path)
    assert found.template["properties"]["source"]["sku"] == "<sku>"
    assert "/resourceGroups/<resourceGroup>/" in found.template["properties"]["distribute"][0]["imageId"]
    assert {"builders[0].image_sku", "builders[0].managed_image_resource_group_name"} <= set(
        notes(found, "fill")
    )


def test_a_network_and_identities_are_kept_for_azure(tmp_path):
    found = convert(
        azure(
            subscription_id="s",
            virtual_network_name="net",
            virtual_network_subnet_name="sub",
            virtual_network_resource_group_name="group",
            user_assigned_managed_identities=["/subscriptions/s/id"],
        ),
        tmp_path,
    )
    profile = found.template["properties"]["vmProfile"]
    assert profile["vnetConfig"]["subnetId"] == (
        "/subscriptions/s/resourceGroups/group/providers/Microsoft.Network/virtualNetworks/net/subnets/sub"
    )
    assert profile["userAssignedIdentities"] == ["/subscriptions/s/id"]


def test_a_managed_image_as_source(tmp_path):
    settings = {"custom_managed_image_name": "base", "custom_managed_image_resource_group_name": "golden"}
    found = convert(azure(image_publisher=None, **settings), tmp_path)
    assert found.template["properties"]["source"]["imageId"].endswith(
        "/resourceGroups/golden/providers/Microsoft.Compute/images/base"
    )
    assert {"builders[0].image_offer", "builders[0].image_sku"} <= set(notes(found, "lost"))


def test_regions_of_a_gallery_one_by_one(tmp_path):
    destination = {
        "subscription": "other",
        "resource_group": "g",
        "gallery_name": "shop",
        "image_name": "web",
        "use_shallow_replication": True,
        "target_region": [{"name": "a", "replicas": 3}, {"name": "b", "storage_account_type": "Premium_LRS"}],
    }
    data = azure(shared_image_gallery_destination=destination, shared_image_gallery_replica_count=2)
    (target, _) = convert(data, tmp_path).template["properties"]["distribute"]
    assert target["galleryImageId"].startswith("/subscriptions/other/")
    assert target["replicationMode"] == "Shallow"
    assert target["targetRegions"] == [
        {"name": "a", "replicaCount": 3},
        {"name": "b", "replicaCount": 2, "storageAccountType": "Premium_LRS"},
    ]


@pytest.mark.parametrize(
    ("size", "gigabytes"),
    [("40960", 40), (1025, 2), ("20G", 20), ("2048M", 2), ("1t", 1024), ("5GB", 5), ("1048577k", 2)],
)
def test_sizes_of_disks(size, gigabytes, tmp_path):
    data = {"builders": [{"type": "qemu", "iso_url": "a.iso", "disk_size": size}]}
    assert convert(data, tmp_path).template["properties"]["vmProfile"]["osDiskSizeGB"] == gigabytes


@pytest.mark.parametrize("size", ["large", "0", "-1", "1.5G", ["1"]])
def test_no_sizes_of_disks(size, tmp_path):
    found = convert({"builders": [{"type": "qemu", "iso_url": "a.iso", "disk_size": size}]}, tmp_path)
    assert "vmProfile" not in found.template["properties"]
    assert "builders[0].disk_size" in notes(found, "lost")


def test_a_machine_larger_than_any_size(tmp_path):
    found = convert({"builders": [{"type": "qemu", "iso_url": "a.iso", "cpus": 4000}]}, tmp_path)
    assert "vmProfile" not in found.template["properties"]
    assert "builders[0].cpus" in notes(found, "lost")


def test_a_disk_image_on_this_machine(tmp_path):
    builder = {
        "type": "qemu",
        "iso_url": "file:///disks/base.vmdk",
        "disk_image": "true",
        "iso_checksum": "none",
    }
    found = convert({"builders": [builder]}, tmp_path)
    (note,) = [note for note in found.notes if note.suggestion]
    assert note.suggestion["images"][0]["versions"]["1.0.0"] == {
        "kind": "file",
        "path": "/disks/base.vmdk",
        "format": "vmdk",
    }
    assert "builders[0].iso_checksum" in notes(found, "implied")
