from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

# The helpers live in a module of their own, because the kill test's child process uses them too.
_SPEC = importlib.util.spec_from_file_location(
    "benchmark_helpers", Path(__file__).with_name("benchmark_helpers.py")
)
assert _SPEC is not None
assert _SPEC.loader is not None
helpers = importlib.util.module_from_spec(_SPEC)
sys.modules["benchmark_helpers"] = helpers
_SPEC.loader.exec_module(helpers)


@pytest.fixture
def parts():
    return helpers.make_parts()


@pytest.fixture
def plan(_known_methods):
    return helpers.make_plan()


@pytest.fixture(autouse=True)
def _known_methods():
    helpers.LOG.clear()
    with helpers.registered():
        yield
