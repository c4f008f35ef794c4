from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _load() -> ModuleType:
    module = _module("corpora_layouts", HERE / "layouts.py")
    for path in sorted(HERE.glob("layouts_*.py")):
        part = _module(f"corpora_{path.stem}", path)
        module.WRITERS.update(getattr(part, "WRITERS", {}))
        module.FEATURE_WRITERS.update(getattr(part, "FEATURE_WRITERS", {}))
    return module


LAYOUTS = _load()
_module("corpora_damage", HERE / "damage.py")
CASES = {
    "case": [(name, form) for name, forms in LAYOUTS.WRITERS.items() for form in forms],
    "feature_case": [
        (name, form) for name, forms in LAYOUTS.FEATURE_WRITERS.items() for form in forms
    ],
}
CASES["any_case"] = CASES["case"] + CASES["feature_case"]


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
            folders[name, form] = LAYOUTS.layout_of(name, form).write(path, subjects=(1, 2))
        return folders[name, form]

    return folder


@pytest.fixture(scope="session")
def sound_one(tmp_path_factory):
    """Return a function that gives one subject of a (corpus, form) that looks like EEG."""
    folders = {}

    def folder(name, form):
        if (name, form) not in folders:
            layout = LAYOUTS.layout_of(name, form)
            path = tmp_path_factory.mktemp("sound") / name
            folders[name, form] = layout.write(path, subjects=(1,), **layout.sound)
        return folders[name, form]

    return folder


@pytest.fixture
def copied(written, tmp_path):
    """Return a function that gives a copy of the folder of a (corpus, form), to be damaged."""

    def copy(name, form):
        return Path(shutil.copytree(written(name, form), tmp_path / "copy" / name))

    return copy


def pytest_generate_tests(metafunc):
    """Run every test that asks for a case over all readers and their forms.

    `case` are forms with signals, `feature_case` forms with features only, `any_case` both.
    """
    for name, cases in CASES.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, cases, ids=["-".join(case) for case in cases])
