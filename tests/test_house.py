"""The laws of the house that a machine can check: imports, sizes, docstrings, no unsafe loading."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import affectrum

SOURCE = Path(affectrum.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))

# From left to right: a room imports only from rooms to its left (docs/architecture.md).
FLOORS = [
    ["errors", "catalog", "affect", "electrodes", "_positions"],
    ["twins", "recordings", "downloads"],
    ["corpora"],
    ["harmonise"],
    ["signals"],
    ["features"],
    ["windows", "recipes"],
    ["pipeline"],
    ["store"],
    ["scaling"],
    ["protocols"],
    ["nn"],
    ["training"],
    ["methods"],
    ["evaluation"],
    ["inference"],
    ["benchmark"],
    ["report"],
    ["reproduce"],
    ["cli"],
]
UNSAFE = ("pickle.load", "pickle.loads", "joblib.load", "torch.load", "eval", "exec")
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else None


def imports(path: Path) -> set[str]:
    """Return the package's own modules that a file imports when it runs (not for typing only)."""
    tree = ast.parse(path.read_text())
    typing_only = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for part in branch.body
        for node in ast.walk(part)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "affectrum":
                found |= {f"affectrum.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
    return {name for name in found if name.split(".")[0] == "affectrum"}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_one_way(path: Path) -> None:
    here = room(module_name(path))
    if here is None or here == "__main__":
        return
    assert here in LEVEL, f"{here} is not in the drawing of the house"
    for target in imports(path):
        there = room(target)
        if there is None or there == here or there in ("__version__",):
            continue
        if there not in LEVEL:
            continue
        assert LEVEL[there] <= LEVEL[here], f"{module_name(path)} imports {target}, to its right"
        # The ground floor's own order and twins beside recordings: same level, no crossing.
        if LEVEL[there] == LEVEL[here]:
            assert LEVEL[here] in (0, LEVEL["windows"]), f"{module_name(path)} imports {target}"


def test_twins_share_no_code_with_readers() -> None:
    for path in (SOURCE / "twins").rglob("*.py"):
        for target in imports(path):
            assert LEVEL.get(room(target) or "errors", 0) == 0 or room(target) == "twins", target


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_modules_stay_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 520, f"{path.name} has {lines} lines: a room is missing"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_nothing_loads_code_from_files(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in UNSAFE, f"{module_name(path)} line {node.lineno} calls {called}"
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle":
                    value = keyword.value
                    assert isinstance(value, ast.Constant), node.lineno
                    assert value.value is False, f"{module_name(path)} line {node.lineno}"


def test_no_global_random_state() -> None:
    unsafe = re.compile(r"np\.random\.(seed|rand|randn|randint|choice|shuffle|permutation)\b")
    unsafe_torch = re.compile(r"torch\.manual_seed\(|(?<!\.)random\.(seed|random|shuffle)\(")
    for path in MODULES:
        text = path.read_text()
        assert not unsafe.search(text), module_name(path)
        for match in unsafe_torch.finditer(text):
            # allowed only inside a fork of the generator, which restores the global state
            before = text[max(0, match.start() - 400) : match.start()]
            assert "fork_rng" in before, module_name(path)


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, affectrum, affectrum.cli.app\n"
        "heavy = {'torch', 'mne', 'matplotlib', 'sklearn', 'pandas', 'scipy', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def public_callables() -> list[tuple[str, object]]:
    found = []
    for path in MODULES:
        name = module_name(path)
        if name.startswith("affectrum.cli") or name.endswith("__main__"):
            continue
        module = importlib.import_module(name)
        for attribute in getattr(module, "__all__", []):
            value = getattr(module, attribute)
            if (inspect.isfunction(value) or inspect.isclass(value)) and getattr(
                value, "__module__", ""
            ) == name:
                found.append((f"{name}.{attribute}", value))
    return found


def documented_parameters(text: str) -> list[str]:
    """Return the names listed under "Parameters" of a numpydoc docstring."""
    match = re.search(r"^Parameters\n-{3,}\n(.*?)(?=^\w[\w ]*\n-{3,}\n|\Z)", text, re.M | re.S)
    if not match:
        return []
    names: list[str] = []
    for line in match[1].splitlines():
        if line and not line[0].isspace():
            head = line.split(" : ")[0]
            names += [part.strip().lstrip("*") for part in head.split(",")]
    return names


def test_docstrings_match_signatures() -> None:
    faults = []
    for name, value in public_callables():
        text = inspect.getdoc(value) or ""
        if not text:
            faults.append(f"{name}: no docstring")
            continue
        if inspect.isclass(value):
            continue
        listed = documented_parameters(text)
        actual = [p for p in inspect.signature(value).parameters if p not in ("self", "cls")]
        if listed and listed != [p for p in actual if p in listed]:
            faults.append(f"{name}: docstring lists {listed}, the signature has {actual}")
        if listed and set(actual) - set(listed):
            faults.append(f"{name}: not described: {sorted(set(actual) - set(listed))}")
    assert not faults, "\n".join(faults)
