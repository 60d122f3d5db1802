"""Which files of a project a function needs: read from the source, without running it."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

# Larger files beside the code are data, and data travels by reference.
_LARGEST_FILE = 1_000_000


def source_files(root: Path, modules: Iterable[str]) -> tuple[Path, ...]:
    """Return the files of `modules` and of what they import from `root`, sorted.

    A module inside a package brings its whole folder (small data files too: a preparation may look things up in them),
    and the `__init__.py` of the packages above it. Modules that are not under `root` bring nothing: they are installed.
    """
    found: set[Path] = set()
    waiting = list(modules)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _file(root, name)
        if path is None:
            continue
        files = {path, *_inits(root, path)}
        if path.parent != root:
            files |= set(_folder(path.parent))
        for file in files - found:
            if file.suffix == ".py":
                waiting.extend(_imports(file, root))
        found |= files
    return tuple(sorted(found))


def _file(root: Path, name: str) -> Path | None:
    base = root.joinpath(*name.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _inits(root: Path, path: Path) -> Iterator[Path]:
    for folder in path.parents:
        if folder == root:
            return
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"


def _folder(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if any(part.startswith(".") or part == "__pycache__" for part in inside) or not path.is_file():
            continue
        if path.suffix == ".py" or path.stat().st_size <= _LARGEST_FILE:
            yield path


def _imports(file: Path, root: Path) -> Iterator[str]:
    """Yield the names that `file` imports, as modules and as members of modules: those that are no file are ignored."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # importing it says so with more detail
        return
    package = file.parent.relative_to(root).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
            for alias in node.names:
                yield f"{base}.{alias.name}" if base else alias.name
