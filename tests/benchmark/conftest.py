from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path

import pytest


# The helpers live in a module of their own, because the kill test's child process uses them too,
# and so do those of engines.
def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


helpers = _load("benchmark_helpers")
_load("record_helpers")


@contextlib.contextmanager
def _engine_methods():
    """Make the methods that tests of engines use known for a while."""
    from affectrum.methods import registry

    mine = _load("benchmark_engine_methods").METHODS
    registry._REGISTERED.update(mine)
    try:
        yield
    finally:
        for name in mine:
            registry._REGISTERED.pop(name, None)


@pytest.fixture
def parts():
    return helpers.make_parts()


@pytest.fixture
def plan(_known_methods):
    return helpers.make_plan()


@pytest.fixture(autouse=True)
def _known_methods():
    helpers.LOG.clear()
    with helpers.registered(), _engine_methods():
        yield
