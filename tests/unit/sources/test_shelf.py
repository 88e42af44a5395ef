"""Team catalogues: added, laid over each other, fetched anew, refused, removed."""

import hashlib
import json

import pytest

from builder.deadline import Deadline
from builder.download.errors import DownloadError
from builder.errors import ConflictError, InUseError, NotFoundError, PreflightError, UsageError
from builder.lock import FileLock
from builder.settings import Home
from builder.sources.catalogue import load_catalogue
from builder.sources.catalogue.shelf import Shelf


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.ensure()
    return home


def _file(path, sku="1", version="1.0.0", **changes):
    image = {
        "publisher": "Acme",
        "offer": "os",
        "sku": sku,
        "versions": {version: {"kind": "file", "path": "os.qcow2", "format": "qcow2"}},
        **changes,
    }
    path.write_text(json.dumps({"format": 1, "images": [image]}))
    return path


def _add(home, path, name="", pinned=""):
    return Shelf(home).add(str(path), name, pinned, Deadline(60))


def _update(home, *names):
    return list(Shelf(home).update(names, Deadline(60)))


def _origin(home, sku="1", publisher="Acme", offer="os"):
    return load_catalogue(home).lookup(publisher, offer, sku).origin


def test_a_file_is_copied_and_its_paths_start_at_its_own_folder(home, tmp_path):
    team = tmp_path / "team"
    team.mkdir()
    added = _add(home, _file(team / "Our Images.json"))
    assert (added.name, added.images, added.replaces) == ("our-images", 1, ())
    found = load_catalogue(home).lookup("acme", "os", "1")
    assert (found.origin, found.recipe.path) == ("our-images", team / "os.qcow2")
    (team / "Our Images.json").unlink()
    assert _origin(home) == "our-images"


def test_they_lie_over_the_built_in_one_by_name_and_the_users_own_over_all(home, tmp_path):
    debian = {"publisher": "Debian", "offer": "debian-12"}
    name = ("12", "Debian", "debian-12")
    added = _add(home, _file(tmp_path / "b.json", "12", "12.0.0", **debian))
    assert added.replaces == ("Debian:debian-12:12:12.0.0",)
    assert _origin(home, *name) == "b"
    assert _add(home, _file(tmp_path / "a.json", "12", "12.0.0", **debian)).replaces
    assert _origin(home, *name) == "b"
    _add(home, tmp_path / "a.json", "c")
    assert _origin(home, *name) == "c"
    _file(home.root / "catalogue.json", "12", "12.0.0", **debian)
    assert _origin(home, *name) == "yours"


def test_a_taken_name_and_an_impossible_one(home, tmp_path):
    team = _file(tmp_path / "team.json")
    _add(home, team)
    with pytest.raises(ConflictError) as caught:
        _add(home, team)
    assert "build marketplace update team" in (caught.value.hint or "")
    for name in ("../x", "built-in", "yours", "A B"):
        with pytest.raises(UsageError, match="cannot be the name"):
            _add(home, team, name)


def test_what_is_no_catalogue_is_never_kept(home, tmp_path):
    (tmp_path / "page.json").write_text("<html>")
    with pytest.raises(UsageError, match=r"page\.json:1:1"):
        _add(home, tmp_path / "page.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        _add(home, tmp_path / "bytes.json")
    with pytest.raises(NotFoundError, match=r"none\.json"):
        _add(home, tmp_path / "none.json")
    assert Shelf(home).names == []
    assert load_catalogue(home).images


def test_an_update_that_fails_leaves_what_was_there(home, tmp_path):
    team = _file(tmp_path / "team.json")
    _add(home, team)
    assert [done.changed for done in _update(home)] == [False]
    team.write_text("{")
    with pytest.raises(UsageError):
        _update(home)
    assert _origin(home) == "team"
    _file(team, "2")
    assert [done.changed for done in _update(home, "team")] == [True]
    assert _origin(home, "2") == "team"


def test_a_pinned_one_has_to_stay_what_it_was(home, tmp_path):
    team = _file(tmp_path / "team.json")
    digest = hashlib.sha256(team.read_bytes()).hexdigest()
    with pytest.raises(PreflightError, match="not the one that was promised"):
        _add(home, team, pinned="0" * 64)
    _add(home, team, pinned=digest.upper())
    _file(team, "2")
    with pytest.raises(PreflightError) as caught:
        _update(home)
    assert f"expected sha256 {digest}" in caught.value.details
    assert _origin(home) == "team"


def test_a_broken_one_is_named_and_blocks_aloud(home, tmp_path):
    _add(home, _file(tmp_path / "good.json", "1"))
    _add(home, _file(tmp_path / "team.json", "2"))
    file = home.root / "catalogues/team.json"
    file.write_text('{"format": 1, "imges": []}')
    with pytest.raises(UsageError, match=r"catalogues/team\.json is not a catalogue") as caught:
        load_catalogue(home)
    assert "/team.json:1:15: /imges: there is no field 'imges' here" in caught.value.details[0]
    assert "build marketplace remove team" in (caught.value.hint or "")
    good, bad = Shelf(home).all()
    assert (good.name, good.images, good.problem) == ("good", 1, "")
    assert (bad.name, bad.images) == ("team", 0)
    assert "imges" in bad.problem
    Shelf(home).remove("team")
    assert _origin(home) == "good"
    assert sorted(path.name for path in file.parent.iterdir()) == ["good.json", "good.origin"]


def test_one_whose_origin_is_lost_can_be_used_but_not_fetched_anew(home, tmp_path):
    disk = {"1.0.0": {"kind": "file", "path": "/os.qcow2", "format": "qcow2", "sha256": "0" * 64}}
    _add(home, _file(tmp_path / "team.json", versions=disk))
    (home.root / "catalogues/team.origin").write_text("?")
    assert _origin(home) == "team"
    with pytest.raises(PreflightError, match="Nothing tells where"):
        _update(home)


def test_a_relative_path_has_no_start_in_what_came_from_the_network(home, tmp_path, monkeypatch):
    text = _file(tmp_path / "team.json").read_bytes()
    monkeypatch.setattr("builder.download.reading.read_uri", lambda *_: text)
    with pytest.raises(UsageError, match=r"Acme:os:1:1\.0\.0 names the relative path os\.qcow2"):
        Shelf(home).add("https://x.example/team.json?sig=secret", "", "", Deadline(60))


def test_what_came_from_the_network_names_no_file_it_does_not_know(home, tmp_path, monkeypatch):
    """Whoever wrote it has the machine that starts from the disk: it would be theirs to read."""
    disk = {"1.0.0": {"kind": "file", "path": "/var/lib/other.qcow2"}}
    text = _file(tmp_path / "team.json", versions=disk).read_bytes()
    monkeypatch.setattr("builder.download.reading.read_uri", lambda *_: text)
    with pytest.raises(
        UsageError, match=r"names a file of this machine, /var/lib/other\.qcow2, without sha256"
    ):
        Shelf(home).add("https://x.example/team.json", "", "", Deadline(60))
    assert _add(home, tmp_path / "team.json").images == 1


def test_a_keyring_starts_at_the_folder_too(home, tmp_path, monkeypatch):
    def disk(keyring):
        sums = {"url": "https://x.example/SUMS", "style": "inline", "keyring": keyring}
        return {"1.0.0": {"kind": "download", "url": "https://x.example/a", "sums": sums}}

    _add(home, _file(tmp_path / "team.json", versions=disk("keys/acme.gpg")))
    _add(home, _file(tmp_path / "named.json", sku="2", versions=disk("acme.gpg")))
    catalogue = load_catalogue(home)
    assert catalogue.lookup("acme", "os", "1").recipe.sums.keyring == str(tmp_path / "keys/acme.gpg")
    assert catalogue.lookup("acme", "os", "2").recipe.sums.keyring == "acme.gpg"
    text = (tmp_path / "team.json").read_bytes()
    monkeypatch.setattr("builder.download.reading.read_uri", lambda *_: text)
    with pytest.raises(UsageError, match=r"relative path keys/acme\.gpg"):
        Shelf(home).add("https://x.example/team.json", "far", "", Deadline(60))


def test_what_it_takes_over_is_told(home, tmp_path):
    added = _add(
        home,
        _file(tmp_path / "a.json", sku="12", version="99.0.0", publisher="Debian", offer="debian-12"),
    )
    assert added.replaces == ("Debian:debian-12:12:latest",)
    aliases = ["Canonical:UbuntuServer:20.04-LTS", "Acme:new:1"]
    assert _add(home, _file(tmp_path / "b.json", aliases=aliases)).replaces == (aliases[0],)
    named = _file(tmp_path / "c.json", sku="8-lvm", publisher="RedHat", offer="RHEL")
    assert _add(home, named).replaces == ("RedHat:RHEL:8-lvm",)
    assert _add(home, _file(tmp_path / "d.json", sku="2")).replaces == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"description": "\x1b]0;hello\x07"}, "control characters"),
        ({"description": "a\u202eb"}, "control characters"),
        ({"versions": {"1\n0": {"kind": "file", "path": "a"}}}, "control characters"),
        ({"versions": {"1.0": {"kind": "file", "path": "a\0b"}}}, "control characters"),
        ({"versions": {"1.0": {"kind": "file", "path": "~nobody-here/a"}}}, "no such user"),
        (
            {"versions": {"1.0": {"kind": "download", "url": "http://[x/a", "sha256": "0" * 64}}},
            "is not a catalogue",
        ),
    ],
)
def test_texts_that_would_do_harm_later_are_refused_now(home, tmp_path, changes, says):
    with pytest.raises(UsageError, match=says):
        _add(home, _file(tmp_path / "team.json", **changes))


@pytest.mark.parametrize(
    "source", ["http://[x/team.json", "https:///team.json", "https://h:0/t", "https://h:x/t"]
)
def test_what_is_no_address(home, source):
    with pytest.raises(DownloadError, match="is not an address"):
        Shelf(home).add(source, "", "", Deadline(60))
    with pytest.raises(DownloadError, match="another machine"):
        Shelf(home).add("file://host/team.json", "", "", Deadline(60))


def test_an_address_with_a_token_is_kept_and_never_shown(home, tmp_path, monkeypatch):
    disk = {"1.0.0": {"kind": "file", "path": "/os.qcow2", "format": "qcow2", "sha256": "0" * 64}}
    text = _file(tmp_path / "team.json", versions=disk).read_bytes()
    asked = []
    monkeypatch.setattr("builder.download.reading.read_uri", lambda uri, *_: asked.append(uri) or text)
    url = "https://me:pw@x.example/images/team.json?sig=secret"
    assert Shelf(home).add(url, "", "", Deadline(60)).name == "team"
    assert _update(home)[0].changed is False
    assert asked == [url, url]
    (shown,) = Shelf(home).all()
    assert shown.origin.shown == "https://x.example/images/team.json"
    assert (home.root / "catalogues/team.origin").stat().st_mode & 0o077 == 0


def test_an_unknown_one(home):
    with pytest.raises(NotFoundError, match="no team catalogue 'x'"):
        Shelf(home).remove("x")
    with pytest.raises(NotFoundError) as caught:
        _update(home, "built-in")
    assert "always there" in (caught.value.hint or "")


def test_two_at_once_do_not_mix(home, tmp_path):
    lock = FileLock(home.root / "catalogues/.lock")
    assert lock.try_acquire(by="another")
    with pytest.raises(InUseError):
        _add(home, _file(tmp_path / "team.json"))
    lock.release()
    _add(home, tmp_path / "team.json")
