"""What the package offers, read from its source: importing it would load Airflow."""

import ast
import functools
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[3] / "operators" / "retrain"
# What Airflow's own base class takes; the documentation uses no more of it.
BASE_OPERATOR = {"task_id", "trigger_rule", "outlets", "inlets", "retries", "retry_delay", "params"}


def module_file(module: str) -> Path | None:
    """Return the source of a module of the package, None when there is none."""
    base = PACKAGE.joinpath(*module.split(".")[1:])
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


@functools.cache
def tree(module: str) -> ast.Module:
    """Return the parsed source of a module."""
    path = module_file(module)
    assert path is not None, f"there is no module {module}"
    return ast.parse(path.read_text(encoding="utf-8"))


def exported(module: str) -> set[str]:
    """Return the names that can be imported from a module, lazily loaded ones and submodules included."""
    found: set[str] = set()
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                found |= {str(item.value) for item in node.value.elts}  # type: ignore[union-attr]
    path = module_file(module)
    if path is not None and path.name == "__init__.py":
        found |= {item.stem for item in path.parent.glob("*.py")} | {
            item.parent.name for item in path.parent.glob("*/__init__.py")
        }
    return found


def lazy_homes(module: str, name: str) -> list[str]:
    """Return the module that a package's table of lazily loaded names (`_MODULES`, `_HOMES`) gives for a name."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and isinstance(node.targets[0], ast.Name):
            table = {
                getattr(key, "value", None): getattr(value, "value", "")
                for key, value in zip(node.value.keys, node.value.values, strict=True)
            }
            if node.targets[0].id in ("_MODULES", "_HOMES") and name in table:
                home = str(table[name])
                return [home if home.startswith("retrain.") else f"{module}.{home}"]
    return []


def find(module: str, name: str) -> tuple[str, ast.ClassDef | ast.FunctionDef] | None:
    """Return where a class or function is defined, following imports inside the package."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name and node in tree(module).body:
            return module, node
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
            target = str(node.module)
            if target != module and module_file(target):
                return find(target, name)
    return None


def keywords(module: str, name: str) -> set[str] | None:
    """Return the keyword arguments that a class or function takes; None when they cannot be told."""
    place = find(module, name)
    if place is None:
        return None
    home, node = place
    if isinstance(node, ast.FunctionDef):
        return _arguments(node)
    init = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    own = (
        _arguments(init)
        if init
        else {
            str(item.target.id)
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        }
    )
    for base in node.bases:
        parent = base.id if isinstance(base, ast.Name) else ""
        if parent == "BaseOperator":
            own |= BASE_OPERATOR
        elif parent and parent != "Record":
            own |= keywords(home, parent) or set()
    return own


def defaults(module: str, name: str) -> dict[str, object]:
    """Return the keyword-only arguments of a class's `__init__` with their defaults; `...` where there is none."""
    place = find(module, name)
    assert place is not None
    init = next(item for item in place[1].body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
    pairs = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return {arg.arg: ... if default is None else ast.literal_eval(default) for arg, default in pairs}


def _arguments(function: ast.FunctionDef) -> set[str]:
    arguments = function.args
    return {arg.arg for arg in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]} - {"self"}
