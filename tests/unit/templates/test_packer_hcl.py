"""HCL2 comes to the same as Packer's JSON, or is listed."""

import pytest
from packer_import import SCOPE, TEMPLATES, load, notes, read, size_for, steps, to_give

from templates.errors import ExitCode
from templates.files import UnreadableFile
from templates.packer.convert import import_packer, read_packer
from templates.packer.document import PackerError
from templates.packer.hcl import read_hcl
from templates.packer.hcl_values import Values


def convert(text, tmp_path, builder=None):
    file = tmp_path / "template.pkr.hcl"
    file.write_text(text)
    return load(file, builder)


def small(*lines):
    body = "\n".join(lines)
    return f'source "qemu" "a" {{\n iso_url = "a.iso"\n}}\nbuild {{\n sources = ["qemu.a"]\n{body}\n}}\n'


def test_a_template(tmp_path):
    found = load(TEMPLATES / "ubuntu.pkr.hcl")
    assert found.builder == "azure-arm.web"
    template = read(found, tmp_path, release="1.5.0", stamp="20260101").templates[0]
    gallery, image = template.properties.distribute
    assert gallery.gallery_image_id.endswith("/images/web/versions/1.5.0")
    assert [(r.name, r.replica_count) for r in gallery.target_regions] == [("westeurope", 2)]
    assert image.image_id.endswith("/images/web-1.5.0-20260101")
    assert image.artifact_tags == {"team": "shop"}
    file, shell = template.properties.customize
    assert file.source_uri == "./files/site.conf"
    assert shell.inline[0] == 'echo "building ${NAME}"'
    assert shell.inline[1].splitlines()[0] == "cat > /tmp/motd <<'EOT'"
    assert shell.extensions.env == {"NAME": "web-1.5.0"}
    assert shell.extensions.secrets["TOKEN"].env == "PKR_VAR_token"
    assert shell.extensions.retry == 3


def test_what_a_template_has_to_be_given():
    found = load(TEMPLATES / "ubuntu.pkr.hcl")
    assert {"subscription_id", "stamp"} <= set(to_give(found))
    said = notes(found)
    assert {
        "packer",
        "variable.release.validation",
        "variable.regions",
        "source.azure-arm.web.shared_image_gallery_destination[0].replication_regions",
        "source.azure-arm.web.use_azure_cli_auth",
        "build[0].name",
        "build[0].provisioner[2]",
        "build[0].post-processor[0]",
    } <= set(said)


def test_notes_have_lines():
    found = load(TEMPLATES / "ubuntu.pkr.hcl")
    lines = (TEMPLATES / "ubuntu.pkr.hcl").read_text().splitlines()
    (note,) = [note for note in found.notes if note.what == "source.azure-arm.web.use_azure_cli_auth"]
    assert "use_azure_cli_auth" in lines[note.where.line - 1]


def test_a_folder_is_one_template(tmp_path):
    found = load(TEMPLATES / "qemu-folder")
    assert found.builder == "qemu.small"
    properties = found.template["properties"]
    assert properties["vmProfile"] == {"vmSize": "Standard_D2s_v5", "osDiskSizeGB": 8}
    assert properties["distribute"] == [{"type": "VHD", "runOutputName": "small"}]
    assert steps(found) == [{"type": "Shell", "inline": ["echo qemu.small > /tmp/name"]}]
    (note,) = [note for note in found.notes if note.suggestion]
    recipe = note.suggestion["images"][0]["versions"]["1.0.0"]
    assert recipe == {"kind": "file", "path": "disks/base.qcow2", "format": "qcow2"}
    (note,) = [note for note in found.notes if note.what.endswith(".format")]
    assert note.where.file.endswith("build.pkr.hcl")
    assert note.where.line == 16
    assert read(found, tmp_path).templates


def test_a_folder_without_templates(tmp_path):
    with pytest.raises(PackerError, match="holds no"):
        read_packer(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing is built"),
        ("not a template", "1:15: neither JSON nor HCL2"),
        ('source "qemu" "a" {\n  cpus = = 2\n}', "2:10: neither JSON nor HCL2"),
        ("a = 1\n", "stands outside of a block"),
        ('source "qemu" {\n}\n', "type and a name"),
        ('build {\n  sources = ["qemu.a"]\n}\n', "2:3: there is no source 'qemu.a'"),
        ('source "docker" "a" {\n}\nbuild {\n sources = ["docker.a"]\n}\n', "found: docker"),
        ('build "x" {\n sources = [' + "[" * 5000 + "]" * 5000 + "]\n}\n", ""),
    ],
)
def test_what_is_no_template_is_refused(text, message, tmp_path):
    with pytest.raises(PackerError) as caught:
        convert(text, tmp_path)
    assert message in caught.value.message
    assert caught.value.exit_code is ExitCode.BAD_TEMPLATE


def test_a_file_that_is_too_large(tmp_path):
    with pytest.raises(PackerError, match="larger"):
        convert("#" * (2**20 + 1), tmp_path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UnreadableFile):
        read_packer(tmp_path / "none.pkr.hcl")


def test_two_builds_of_one_source(tmp_path):
    text = small(' provisioner "shell" {\n  inline = ["one"]\n }') + (
        'build {\n name = "two"\n sources = ["source.qemu.a"]\n'
        ' provisioner "shell" {\n  inline = ["two"]\n }\n}\n'
    )
    with pytest.raises(PackerError) as caught:
        convert(text, tmp_path)
    assert caught.value.details == ("builders: qemu.a, two.qemu.a",)
    found = convert(text, tmp_path, "two.qemu.a")
    assert steps(found) == [{"type": "Shell", "inline": ["two"]}]
    assert "build[0].provisioner[0]" in notes(found, "lost")


@pytest.mark.parametrize(
    "block",
    [
        'data "amazon-ami" "x" {\n owners = ["a"]\n}\n',
        'source "qemu" "unused" {\n}\n',
        "unheard_of {\n}\n",
    ],
)
def test_blocks_beside_the_build_are_listed(block, tmp_path):
    found = convert(block + small(), tmp_path)
    name = block.split(" {")[0].replace('" "', ".").replace(' "', ".").replace('"', "")
    assert name in notes(found)


@pytest.mark.parametrize("block", ["error-cleanup-provisioner", "hcp_packer_registry", "dynamic"])
def test_blocks_in_the_build_are_listed(block, tmp_path):
    found = convert(small(f' {block} "x" {{\n }}'), tmp_path)
    assert f"build[0].{block}" in notes(found, "lost")


def value(raw, **known):
    return Values(lambda space, name, depth: known.get(name)).value(raw)


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (5, 5),
        (True, True),
        (None, None),
        ('"plain"', "plain"),
        ('"a\\n\\t\\"b\\" \\\\ \\u00e9 $${x} %%{y}"', 'a\n\t"b" \\ é ${x} %{y}'),
        ("${var.x}", "X"),
        ('"${var.x}-${(var.x)}"', "X-X"),
        ("${local.list}", ["a"]),
        ("${path.root}", "{{template_dir}}"),
        ('"${build.ID}"', "{{build `ID`}}"),
        ("${timestamp()}", "{{isotime}}"),
        ('${env("HOME")}', "{{env `HOME`}}"),
        ("${source.qemu.base}", "source.qemu.base"),
        ('${"quoted"}', "quoted"),
        ("${12}", 12),
        ('${upper("}")}', '{{hcl `packer_value` `upper("}")`}}'),
        ("${local.unknown}", "{{hcl `unknown` `local.unknown`}}"),
        ('"%{if var.x}y%{endif}"', "{{hcl `packer_value` `%{if var.x}y%{endif}`}}"),
        ('"in ${local.list} text"', "in {{hcl `packer_value` `local.list`}} text"),
        ("identifier", "{{hcl `packer_value` `identifier`}}"),
        ({'"a b"': '"c"', "d": ['"e"']}, {"a b": "c", "d": ["e"]}),
    ],
)
def test_values(raw, wanted):
    assert value(raw, x="X", list=["a"]) == wanted


def test_locals_that_lead_back_to_themselves_end(tmp_path):
    text = "locals {\n a = local.b\n b = local.a\n}\n" + small(
        ' provisioner "shell" {\n  inline = ["${local.a}"]\n }'
    )
    assert len(to_give(convert(text, tmp_path))) == 1


def test_several_files_without_a_disk(tmp_path):
    """The reader takes texts, so that nothing but the files themselves is read."""
    files = [(tmp_path / "a.pkr.hcl", small()), (tmp_path / "b.pkr.hcl", 'variable "unused" {\n}\n')]
    found = import_packer(read_hcl(files, tmp_path), builder=None, scope=SCOPE, size_for=size_for)
    assert "variable.unused" in notes(found, "implied")
