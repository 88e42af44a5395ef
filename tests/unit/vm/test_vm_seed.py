import io
import json
import stat

import pycdlib
import pytest

from builder.vm.access import BuildAccess
from builder.vm.seed import BUILD_MAC, write_seed


@pytest.fixture
def access() -> BuildAccess:
    return BuildAccess.generate()


def read(path) -> tuple[str, dict[str, str], dict[str, str]]:
    """The volume id and every file by its Joliet and its Rock Ridge name."""
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    names: dict[str, dict[str, str]] = {"joliet_path": {}, "rr_path": {}}
    for kind, found in names.items():
        for child in iso.list_children(**{kind: "/"}):
            if not child.is_file():
                continue
            name = (
                child.file_identifier().decode("utf-16-be")
                if kind == "joliet_path"
                else child.rock_ridge.name().decode()
            )
            buffer = io.BytesIO()
            iso.get_file_from_iso_fp(buffer, **{kind: f"/{name}"})
            found[name] = buffer.getvalue().decode()
    volume = iso.pvd.volume_identifier.decode().strip()
    iso.close()
    return volume, names["joliet_path"], names["rr_path"]


def test_seed_read_back_has_both_kinds_of_names(tmp_path, access):
    volume, joliet, rock_ridge = read(write_seed(tmp_path / "seed.iso", access))
    assert volume == "cidata"
    assert set(joliet) == {"meta-data", "user-data", "network-config", "vendor-data"}
    assert joliet == rock_ridge
    assert joliet["vendor-data"] == ""


def test_user_data_gives_the_user_and_the_host_key(tmp_path, access):
    _, files, _ = read(write_seed(tmp_path / "seed.iso", access))
    head, _, body = files["user-data"].partition("\n")
    assert head == "#cloud-config"
    config = json.loads(body)
    (user,) = config["users"]
    assert user["name"] == "packer"
    assert user["ssh_authorized_keys"] == [access.client_key.public]
    assert user["lock_passwd"] is True
    assert user["sudo"] == "ALL=(ALL) NOPASSWD:ALL"
    assert config["ssh_keys"] == {
        "ed25519_private": access.host_key.private,
        "ed25519_public": access.host_key.public,
    }
    assert config["ssh_deletekeys"] is True
    assert config["apt"] == {"preserve_sources_list": True}
    assert "timezone" not in config
    assert access.client_key.private not in files["user-data"]


def test_the_root_grows_only_where_there_is_room(tmp_path, access):
    def modules(**options):
        _, files, _ = read(write_seed(tmp_path / "seed.iso", access, **options))
        return json.loads(files["user-data"].partition("\n")[2])["cloud_init_modules"]

    assert modules() == ["growpart", "resizefs", "users-groups", "ssh"]
    assert modules(grow=False) == ["users-groups", "ssh"]


def test_network_is_dhcp_on_our_card(tmp_path, access):
    _, files, _ = read(write_seed(tmp_path / "seed.iso", access))
    card = json.loads(files["network-config"])["ethernets"]["eth0"]
    assert card == {"match": {"macaddress": BUILD_MAC}, "set-name": "eth0", "dhcp4": True}


def test_a_build_may_have_its_address_without_asking(tmp_path, access):
    _, files, _ = read(write_seed(tmp_path / "seed.iso", access, dhcp=False))
    card = json.loads(files["network-config"])["ethernets"]["eth0"]
    assert "dhcp4" not in card
    assert (card["addresses"], card["gateway4"]) == (["10.0.2.15/24"], "10.0.2.2")
    config = json.loads(files["user-data"].partition("\n")[2])
    (file,) = config["write_files"]
    assert (file["path"], file["content"]) == ("/etc/resolv.conf", "nameserver 10.0.2.3\n")
    assert config["cloud_init_modules"][0] == "write-files"


def test_instance_ids_are_unique_unless_given(tmp_path, access):
    ids = [read(write_seed(tmp_path / f"{n}.iso", access))[1]["meta-data"] for n in range(2)]
    assert ids[0] != ids[1]
    given = read(write_seed(tmp_path / "given.iso", access, instance_id="abc"))[1]["meta-data"]
    assert given == "instance-id: abc\n"


def test_seed_is_for_its_owner_only(tmp_path, access):
    path = write_seed(tmp_path / "seed.iso", access)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_access_survives_a_file_and_hides_its_secrets(tmp_path, access):
    path = tmp_path / "access.json"
    access.save(path)
    assert BuildAccess.load(path) == access
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE KEY" not in repr(access)
    assert all("PRIVATE KEY" in secret for secret in access.secrets())


def test_private_key_file_tightens_an_existing_one(tmp_path, access):
    path = tmp_path / "key"
    path.write_text("old and longer than anything " * 100)
    path.chmod(0o644)
    access.save_client_key(path)
    assert path.read_text() == access.client_key.private
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
