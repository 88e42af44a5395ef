"""Which kernel an image starts by default, with which initramfs and which words: read, never run.

GRUB's own files (grub.cfg with menu entries, as grub-mkconfig writes them), and entries of the Boot Loader
Specification, which Red Hat's GRUB and systemd-boot read. What a script in grub.cfg would compute is not
followed, beyond `set name=value` and the variables of grubenv.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioners.generalized import ImageFiles

_GRUB = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
_EFI = "/boot/efi/EFI"
_ENTRY_FOLDERS = ("/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries")
_MENU = re.compile(r"^(menuentry|submenu)\s+(?:'([^']*)'|\"([^\"]*)\"|(\S+))(.*)$")
_ID = re.compile(r"(?:--id|\$menuentry_id_option)\s+(?:'([^']*)'|\"([^\"]*)\"|(\S+))")
_SET = re.compile(r"^(?:set\s+)?([A-Za-z_][A-Za-z0-9_]*)=(?:\"([^\"]*)\"|'([^']*)'|(\S*))$")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_MOST_TEXT = 4 * 1024**2
_MOST_ROUNDS = 8
# A kernel takes 4 KiB of words (x86: COMMAND_LINE_SIZE 2048); variables of variables could become any size.
_MOST_VALUE = 4096
_MOST_LINE = 16 * 1024


@dataclass(frozen=True, slots=True)
class BootEntry:
    """What is started. Paths as they are in the image; `words` is the kernel's command line, None where no
    boot loader's file says it; `where` names that file.
    """

    kernel: str
    initrds: tuple[str, ...]
    words: tuple[str, ...] | None
    where: str

    @property
    def version(self) -> str:
        """The kernel's version as its name says it, "" when it does not."""
        return self.kernel.rsplit("/", 1)[-1].partition("-")[2]


def find(files: ImageFiles) -> BootEntry | None:
    """The default entry; without any boot loader's file the newest kernel in /boot; None without one."""
    for path in (*_GRUB, *_efi_grubs(files)):
        text = (files.read(path) or b"")[:_MOST_TEXT].decode(errors="replace")
        entry = _of_grub(files, path, text)
        if entry is not None:
            return entry
    return _of_specification(files, {}) or _newest(files)


def _efi_grubs(files: ImageFiles) -> list[str]:
    return [f"{_EFI}/{name}/grub.cfg" for name in files.listdir(_EFI) or () if name.upper() != "BOOT"]


@dataclass(frozen=True, slots=True)
class _Menu:
    """An entry. `levels`: by what it, and before it each menu that it is in, can be chosen: its number among
    its siblings, its title, its id.
    """

    levels: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]


def _of_grub(files: ImageFiles, path: str, text: str) -> BootEntry | None:
    config = _GrubConfig(text)
    variables = {**config.variables, **_environment(files, path)}
    default = config.default
    menu = _choose(config.menus, variables.get("saved_entry", "") if "saved_entry" in default else default)
    if menu is not None:
        return _entry_of(files, menu.lines, variables, path)
    if re.search(r"^\s*blscfg\b", text, re.MULTILINE):
        return _of_specification(files, variables)
    return None


class _GrubConfig:
    """The entries of a grub.cfg, what it sets outside of them, and the entry that is its default."""

    def __init__(self, text: str) -> None:
        self.menus: list[_Menu] = []
        self.variables: dict[str, str] = {}
        self.default = ""
        self._above: list[tuple[int, tuple[str, ...]]] = []
        self._counts = [0]
        self._entry: tuple[int, list[str]] | None = None
        self._names: tuple[str, ...] = ()
        self._depth = 0
        for raw in text.splitlines():
            line = raw.strip()
            menu = None if self._entry else _MENU.match(line)
            if menu:
                self._open(menu)
            elif line == "}":
                self._close()
            else:
                self._take(line)
                self._depth += bool(re.search(r"(^|\s)\{$", line))

    def _open(self, menu: re.Match[str]) -> None:
        self._depth += 1
        title = next((group for group in menu.groups()[1:4] if group is not None), "")
        found = _ID.search(menu[5])
        identity = next(filter(None, found.groups()), "") if found else ""
        names = (str(self._counts[-1]), title, identity)
        self._counts[-1] += 1
        if menu[1] == "submenu":
            self._above.append((self._depth, names))
            self._counts.append(0)
            return
        self._names = names
        self._entry = (self._depth, [])

    def _close(self) -> None:
        if self._entry and self._entry[0] == self._depth:
            levels = (*(names for _, names in self._above), self._names)
            self.menus.append(_Menu(levels, tuple(self._entry[1])))
            self._entry = None
        elif self._above and self._above[-1][0] == self._depth:
            self._above.pop()
            self._counts.pop()
        self._depth = max(0, self._depth - 1)

    def _take(self, line: str) -> None:
        if self._entry:
            self._entry[1].append(line)
            return
        setting = _SET.match(line)
        if not setting:
            return
        value = next((group for group in setting.groups()[1:] if group is not None), "")
        if setting[1] != "default":
            self.variables.setdefault(setting[1], value)
        elif "next_entry" not in value:  # that one is to be tried once
            self.default = value


def _choose(menus: Sequence[_Menu], chosen: str) -> _Menu | None:
    """The entry that numbers, titles or ids lead to, `1>2` from menu to menu; the first of a menu where they
    lead to that; one of that title or id wherever it is; the first one where none fits.
    """
    if not menus:
        return None
    steps = chosen.split(">")
    for menu in menus:
        if len(steps) <= len(menu.levels) and all(
            step and step in names for step, names in zip(steps, menu.levels, strict=False)
        ):
            return menu
    for wanted in (chosen, steps[-1]):
        for menu in menus:
            if wanted and wanted in menu.levels[-1][1:]:
                return menu
    return menus[0]


def _entry_of(
    files: ImageFiles, lines: tuple[str, ...], variables: Mapping[str, str], where: str
) -> BootEntry | None:
    kernel, words, initrds = "", tuple[str, ...](), tuple[str, ...]()
    for line in lines:
        name, rest = _split(line)
        parts = tuple(_expanded(rest, variables).split())
        if name in ("linux", "linuxefi", "linux16") and parts:
            kernel, words = parts[0], parts[1:]
        elif name in ("initrd", "initrdefi", "initrd16"):
            initrds += parts
    if not kernel:
        return None
    return BootEntry(_place(files, kernel), tuple(_place(files, one) for one in initrds), words, where)


def _split(line: str) -> tuple[str, str]:
    """The first word of a line and the rest; spaces or a tab stand between them."""
    word, *rest = line.split(None, 1) or [""]
    return word, rest[0].strip() if rest else ""


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """With the variables that are known; the others are empty, as GRUB has them."""
    text = text[:_MOST_LINE]
    for _ in range(_MOST_ROUNDS):
        new = _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], "")[:_MOST_VALUE], text)
        new = new[:_MOST_LINE]
        if new == text:
            break
        text = new
    return text.replace('"', "").replace("'", "")


def _environment(files: ImageFiles, path: str) -> dict[str, str]:
    """The variables that GRUB loads from grubenv, beside its configuration or where Red Hat has it."""
    found: dict[str, str] = {}
    for place in (path.rpartition("/")[0], "/boot/grub2", "/boot/grub"):
        text = (files.read(f"{place}/grubenv") or b"").decode(errors="replace")
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if equals and not name.startswith("#"):
                found.setdefault(name, value)
    return found


def _of_specification(files: ImageFiles, variables: Mapping[str, str]) -> BootEntry | None:
    """The default among loader/entries/*.conf: the saved one, else the last when sorted as versions."""
    for folder in _ENTRY_FOLDERS:
        names = [name for name in files.listdir(folder) or () if name.endswith(".conf")]
        if not names:
            continue
        names.sort(key=_as_version)
        usual = [name for name in names if "rescue" not in name] or names
        saved = f"{variables.get('saved_entry', '')}.conf"
        name = saved if saved in names else usual[-1]
        lines = (files.read(f"{folder}/{name}") or b"").decode(errors="replace").splitlines()
        fields = [_split(line) for line in lines]
        words = " ".join(rest for key, rest in fields if key == "options")
        kernel = next((rest for key, rest in fields if key == "linux"), "")
        if kernel:
            initrds = " ".join(rest for key, rest in fields if key == "initrd")
            return BootEntry(
                _place(files, kernel, folder),
                tuple(_place(files, one, folder) for one in _expanded(initrds, variables).split()),
                tuple(_expanded(words, variables).split()),
                f"{folder}/{name}",
            )
    return None


def _newest(files: ImageFiles) -> BootEntry | None:
    names = files.listdir("/boot") or []
    kernels = sorted((name for name in names if name.startswith("vmlinuz-")), key=_as_version)
    usual = [name for name in kernels if "rescue" not in name]
    if not usual:
        return None
    version = usual[-1].partition("-")[2]
    wanted = (f"initrd.img-{version}", f"initramfs-{version}.img", f"initrd-{version}")
    initrds = tuple(f"/boot/{name}" for name in wanted if name in names)
    return BootEntry(f"/boot/{usual[-1]}", initrds, None, "")


def _place(files: ImageFiles, path: str, folder: str = "") -> str:
    """A path as GRUB has it, in the image: on a partition of its own /boot is its root."""
    path = re.sub(r"^\([^)]*\)", "", path)
    path = path if path.startswith("/") else f"/{path}"
    name = path.rsplit("/", 1)[-1]
    above = path.rpartition("/")[0] or "/"
    if name in (files.listdir(above) or ()):
        return path
    for place in ("/boot", folder.removesuffix("/loader/entries")):
        if place and name in (files.listdir(f"{place}{above}".rstrip("/")) or ()):
            return f"{place}{path}"
    return path


def _as_version(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts 6.10 after 6.9."""
    parts = re.findall(r"\d+|[A-Za-z]+", name)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]
