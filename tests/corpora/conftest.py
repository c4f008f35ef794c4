from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "corpora_layouts", Path(__file__).parent / "layouts.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["corpora_layouts"] = module
    spec.loader.exec_module(module)
    for path in sorted(Path(__file__).parent.glob("layouts_*.py")):
        further = importlib.util.spec_from_file_location(f"corpora_{path.stem}", path)
        part = importlib.util.module_from_spec(further)
        sys.modules[further.name] = part
        further.loader.exec_module(part)
        module.WRITERS.update(part.WRITERS)
    return module


LAYOUTS = _load()
CASES = [(name, form) for name, forms in LAYOUTS.WRITERS.items() for form in forms]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep what readers remember between runs out of the user's cache folder."""
    folder = tmp_path / "cache-of-the-test"
    monkeypatch.setenv("AFFECTRUM_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def layouts() -> ModuleType:
    return LAYOUTS


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Return a function that gives the folder of a (corpus, form); tests only read it."""
    folders = {}

    def folder(name, form):
        if (name, form) not in folders:
            path = tmp_path_factory.mktemp("corpus") / name
            folders[name, form] = LAYOUTS.WRITERS[name][form].write(path, subjects=(1, 2))
        return folders[name, form]

    return folder


@pytest.fixture
def copied(written, tmp_path):
    """Return a function that gives a copy of the folder of a (corpus, form), to be damaged."""

    def copy(name, form):
        return Path(shutil.copytree(written(name, form), tmp_path / "copy" / name))

    return copy


def pytest_generate_tests(metafunc):
    """Run every test that asks for `case` over all readers and their forms."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=["-".join(case) for case in CASES])
