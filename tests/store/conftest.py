from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
# The fake corpus must be importable by name, also in worker processes.
if HERE not in sys.path:
    sys.path.insert(0, HERE)
os.environ["PYTHONPATH"] = os.pathsep.join(
    part for part in (HERE, os.environ.get("PYTHONPATH", "")) if part
)

from fake_corpus import FakeCorpus, write_folder  # noqa: E402

from affectrum.recipes import Recipe  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "fake")


@pytest.fixture
def corpus(folder: Path) -> FakeCorpus:
    return FakeCorpus(folder)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(name="tiny", electrodes=("Fz", "Oz"), bands={"alpha": (8, 14), "beta": (14, 31)})
