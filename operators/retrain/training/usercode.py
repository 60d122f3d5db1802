"""The user's code: found under the declared project root and nowhere else."""

import contextlib
import hashlib
import importlib
import importlib.machinery
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any

from retrain.exceptions import DeclarationError, UserCodeError
from retrain.training.sources import source_files

# An installed package beyond these is known by its version and the module's own file: it is a library, not a project.
_MOST_FILES = 500
_MOST_BYTES = 10_000_000


@contextlib.contextmanager
def project_path(project_root: str) -> Iterator[None]:
    """Let imports find the project first for the time of the block: also those that the user's functions make late."""
    root = str(Path(project_root).resolve())
    sys.path.insert(0, root)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(root)


@contextlib.contextmanager
def fresh_project(project_root: str, references: Iterable[str]) -> Iterator[None]:
    """Let the project's packages be imported anew within the block, from `project_root` first.

    A process that lives long may hold them as they were before somebody changed the files, or from another place. What
    it held is back after the block.
    """
    root = str(Path(project_root).resolve())
    tops = {name.partition(".")[0] for name in modules(references)}
    tops = {top for top in tops if importlib.machinery.PathFinder.find_spec(top, [root]) is not None}
    before = _take_out(tops)
    try:
        with project_path(root):
            yield
    finally:
        _take_out(tops)
        sys.modules.update(before)


def parse_reference(reference: str) -> tuple[str, str]:
    """Split `module:function`; DeclarationError when it is something else."""
    module, colon, function = reference.partition(":")
    if not colon or not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise DeclarationError(
            f"{reference!r} does not name a function",
            expected="module:function, such as include.flights.train:fit",
            remedy="Correct prepare= or train= in the declaration",
        )
    return module, function


def load_function(reference: str, project_root: str) -> Callable[..., Any]:
    """Import `module:function` from `project_root` (or an installed package), never from the working directory.

    DeclarationError: the root, the module or the function is not there, or Python holds a module of the same name from
    elsewhere. UserCodeError: the module is there and raised while it was imported.
    """
    name, function = parse_reference(reference)
    root = Path(project_root).resolve()
    if not root.is_dir():
        raise DeclarationError(
            f"the project root {project_root} is not a folder",
            expected=f"the folder that holds {name.partition('.')[0]}",
            remedy="Correct project_root= in the declaration, or mount the project where the job runs",
        )
    module = _import(name, root, reference)
    found = getattr(module, function, None)
    if not callable(found):
        raise DeclarationError(
            f"{name} ({module.__file__}) has no function {function!r}",
            expected=f"one of {sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith('_'))}",
            remedy=f"Correct {reference!r} in the declaration",
        )
    return found  # type: ignore[no-any-return]


def code_digest(project_root: str, references: Iterable[str]) -> str:
    """Return `sha256:<hex>` over the files that the functions come from, and what those import from the project.

    A function of an installed package brings the sources of that package. Nothing is imported.
    """
    root = Path(project_root).resolve()
    total = hashlib.sha256()
    names = modules(references)
    files = [(path.relative_to(root).as_posix(), path) for path in source_files(root, names)]
    for name in names:
        if not _in_project(name, root):
            total.update(f"installed {name}\0{_versions(name)}\0".encode())
            files += _installed_files(name)
    for label, path in files:
        total.update(label.encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return f"sha256:{total.hexdigest()}"


def modules(references: Iterable[str]) -> list[str]:
    """Return the module names of `module:function` references, each once."""
    return sorted({parse_reference(reference)[0] for reference in references})


def _import(name: str, root: Path, reference: str) -> ModuleType:
    top = name.partition(".")[0]
    in_project = _in_project(name, root)
    if not in_project and not _installed(_origin_of(top)):
        raise DeclarationError(
            f"{reference!r} is not under the project root {root}: there is no {top!r} in it",
            expected="a module of the project, or of an installed package",
            remedy="Correct project_root= or the reference in the declaration",
        )
    if in_project:
        _refuse_stranger(name, root)
    with project_path(str(root)) if in_project else contextlib.nullcontext():
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise _not_found(error, name, reference, root) from error
        except Exception as error:
            raise UserCodeError(
                f"importing {name} raised {type(error).__name__}: {error}",
                remedy=f"Make `import {name}` work with {root} as the only folder of the project on the path",
            ) from error
    if in_project:
        _refuse_stranger(name, root)
    return module


def _in_project(name: str, root: Path) -> bool:
    return importlib.machinery.PathFinder.find_spec(name.partition(".")[0], [str(root)]) is not None


def _installed_files(name: str) -> list[tuple[str, Path]]:
    """Return what a module outside the project consists of, as (label, file): its own file, or its small package.

    The package is the outermost one with an `__init__.py`; a namespace above it belongs to others too.
    """
    parts = name.split(".")
    spec = _find(parts[0])
    package: tuple[str, Path] | None = None
    for length in range(1, len(parts) + 1):
        if spec is None:
            return []
        folders = spec.submodule_search_locations
        if package is None and folders is not None and spec.has_location and spec.origin:
            package = (".".join(parts[:length]), Path(spec.origin).parent)
        if length < len(parts):
            # By its last name: by the full one, Python wants the packages above a namespace to be imported already.
            below = parts[length]
            spec = importlib.machinery.PathFinder.find_spec(below, list(folders)) if folders is not None else None
    own = [(name, Path(spec.origin))] if spec is not None and spec.origin and Path(spec.origin).is_file() else []
    return (_small_package(*package) if package is not None else None) or own


def _small_package(name: str, folder: Path) -> list[tuple[str, Path]] | None:
    """Return the sources and extensions of a package; None when there are too many of them."""
    kinds = (*importlib.machinery.SOURCE_SUFFIXES, *importlib.machinery.EXTENSION_SUFFIXES)
    found: list[tuple[str, Path]] = []
    size = 0
    for path in folder.rglob("*"):
        if path.name.endswith(kinds) and path.is_file():
            size += path.stat().st_size
            found.append((f"{name}/{path.relative_to(folder).as_posix()}", path))
            if len(found) > _MOST_FILES or size > _MOST_BYTES:
                return None
    return sorted(found)


def _versions(name: str) -> str:
    """Return the versions of the distributions that a module's top-level package may come from."""
    found = []
    for distribution in sorted(set(packages_distributions().get(name.partition(".")[0], ()))):
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{distribution}=={version(distribution)}")
    return ",".join(found)


def _take_out(tops: set[str]) -> dict[str, ModuleType]:
    taken = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in tops}
    for name in taken:
        del sys.modules[name]
    return taken


def _not_found(error: ModuleNotFoundError, name: str, reference: str, root: Path) -> Exception:
    if error.name and (name == error.name or name.startswith(f"{error.name}.")):
        return DeclarationError(
            f"{reference!r} names a module that is not there: {error.name}",
            expected=f"{name.replace('.', '/')}.py under {root}",
            remedy="Correct the reference in the declaration",
        )
    return UserCodeError(
        f"importing {name} needs the module {error.name}, which is not installed",
        remedy=f"Install {error.name} into the environment of the job, or name it as the project does",
    )


def _refuse_stranger(name: str, root: Path) -> None:
    """Refuse when Python already holds this module, or a package above it, from another place."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        known = sys.modules.get(".".join(parts[:length]))
        file = getattr(known, "__file__", None)
        if file is not None and not Path(file).resolve().is_relative_to(root):
            raise DeclarationError(
                f"the module {'.'.join(parts[:length])} was already imported from {file}",
                expected=f"the one under the project root {root}",
                remedy="Give the project's package a name of its own, or run the step in a job of its own",
            )


def _origin_of(top: str) -> str | None:
    """Return the file of a top-level module without running it; None when there is no such module."""
    if top in sys.modules:
        return getattr(sys.modules[top], "__file__", None)
    spec = _find(top)
    return spec.origin if spec is not None else None


def _find(top: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None


def _installed(origin: str | None) -> bool:
    if origin is None:
        return False
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    return any(Path(origin).resolve().is_relative_to(Path(folder).resolve()) for folder in folders)
