"""The rules of the house that a reader would have to trust, checked on the source itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("templates", "provisioners", "builder")
MAX_LINES = 420
HEAVY = {
    "sqlalchemy",
    "paramiko",
    "httpx",
    "rich",
    "pycdlib",
    "qemu",
    "jinja2",
    "cryptography",
    "azure",
    "requests",
}

# Which of our packages each may import: one way, builder -> provisioners -> templates.
MAY_IMPORT = {
    "templates": {"templates"},
    "provisioners": {"templates", "provisioners"},
    "builder": {"templates", "provisioners", "builder"},
}
STARTS_PROCESSES = re.compile(r"^(os\.(system|popen|exec\w+|spawn\w+|posix_spawnp?|fork)|pty\.\w+)$")
# Only when called: the names are good for annotations.
STARTS_PROCESSES_CALLED = re.compile(
    r"^(.*\.)?create_subprocess_\w+$|^subprocess\.(run|Popen|call|check_\w+|getoutput)$"
)
URL_HOST = re.compile(r"https?://([A-Za-z0-9][A-Za-z0-9.-]*)")
# Names that belong to the language of templates, to this machine or to the guest's own link.
HARMLESS_HOST = re.compile(
    r"^(schema\.management\.azure\.com|schemas\.(dmtf\.org|microsoft\.com)|json-schema\.org|aka\.ms|learn\.microsoft\.com|docs\.oasis-open\.org|(.*\.)?example(\.(com|org|net))?"
    r"|adaptivecards\.io|[A-Za-z]+\.blob\.core\.windows\.net|localhost|127\.0\.0\.1|10\.0\.2\.\d+|169\.254\.169\.254|[a-z]+)$"
)
MIRROR_HOST = re.compile(
    r"\b(deb|security|archive|ftp|mirrors?|registry|pypi|index|cdimage|cloud|releases)\.[a-z0-9-]+\.(org|com|io|net)\b"
)


@cache
def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages or PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parse(path)))


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute; of one of something made, `.c`."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def at_import_time(tree: ast.Module) -> Iterator[ast.AST]:
    """The statements that run when the module is imported: not functions, not TYPE_CHECKING."""
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo.extend(node.orelse)
            continue
        yield node
        todo.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    assert sources(package), f"{package} has no source: the test looks in the wrong place"
    wrong = {
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources(package)
        for module in imported(nodes(path))
        if module.split(".")[0] in set(PACKAGES) - MAY_IMPORT[package]
    }
    assert not wrong


def test_no_relative_imports() -> None:
    """They would slip through the test above."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not wrong


def test_files_fit_in_a_head() -> None:
    long = {
        str(path.relative_to(ROOT)): n
        for path in sources()
        if (n := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert not long


def process_starts(nodes: Iterable[ast.AST]) -> list[str]:
    found = []
    for node in nodes:
        if isinstance(node, ast.Attribute) and STARTS_PROCESSES.match(name := dotted(node)):
            found.append(f"{node.lineno} {name}")
        if isinstance(node, ast.Call) and STARTS_PROCESSES_CALLED.match(name := dotted(node.func)):
            found.append(f"{node.lineno} {name}")
    return found


def test_processes_start_in_one_place() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{start}"
        for path in sources()
        if path != ROOT / "builder" / "process.py"
        for start in process_starts(nodes(path))
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("os.system('x')", "os.system"),
        ("start = os.execvp", "os.execvp"),
        ("pty.spawn(x)", "pty.spawn"),
        ("subprocess.run(x)", "subprocess.run"),
        ("await asyncio.create_subprocess_exec(x)", "asyncio.create_subprocess_exec"),
        ("create_subprocess_shell(x)", "create_subprocess_shell"),
        ("asyncio.loop().create_subprocess_exec(x)", ".create_subprocess_exec"),
        ("child: subprocess.Popen[bytes]", ""),
        ("process.run(x)", ""),
        ("os.path.join(x)", ""),
    ],
)
def test_what_starts_a_process_is_known(code: str, name: str) -> None:
    assert process_starts(ast.walk(ast.parse(code))) == ([f"1 {name}"] if name else [])


def test_no_shell_in_between() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.value.lineno}"
        for path in sources()
        for node in nodes(path)
        if isinstance(node, ast.keyword) and node.arg == "shell" and ast.unparse(node.value) != "False"
    ]
    assert not wrong


def test_no_registry_or_mirror_is_named() -> None:
    """Where packages and images come from is the user's setting, never ours. The catalogue alone names
    publishers: the addresses of their images are its data.
    """
    wrong = []
    files = [
        path
        for folder in (*PACKAGES, "script", "benchmarks", "examples", ".ci")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and path.suffix in {"", ".py", ".sh", ".json", ".cfg", ".j2", ".ps1", ".toml"}
    ]
    assert files
    for path in files:
        if path == ROOT / "builder/sources/catalogue/builtin.json":
            continue
        text = path.read_text(errors="replace")
        hosts = {host for host in URL_HOST.findall(text) if not HARMLESS_HOST.match(host)}
        hosts |= {match.group(0) for match in MIRROR_HOST.finditer(text)}
        wrong += [f"{path.relative_to(ROOT)}: {host}" for host in sorted(hosts)]
    assert not wrong


def test_the_command_starts_without_heavy_imports() -> None:
    """Follows what runs when `build` is imported; SQLAlchemy alone would cost half a second."""
    trees = {name_of(path): parse(path) for path in sources()}
    todo, seen, heavy = ["builder.cli"], set(), []
    while todo:
        name = todo.pop()
        if name in seen or name not in trees:
            continue
        seen.add(name)
        for module in imported(at_import_time(trees[name])):
            if module.split(".")[0] in HEAVY:
                heavy.append(f"{name} imports {module}")
            parts = module.split(".")
            todo += [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    assert "builder.cli" in seen
    assert not heavy


def test_scripts_can_be_run() -> None:
    for script in ("script/quickstart", "script/test", ".ci/run"):
        path = ROOT / script
        assert path.stat().st_mode & 0o111, f"{script} is not executable"
        assert path.read_text().startswith("#!"), f"{script} names no interpreter"
