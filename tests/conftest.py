"""What every test shares: no traces in the user's folders, no display, tiny simulated corpora."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports matplotlib, and for every child process.
os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(scope="session", autouse=True)
def _no_traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what readers remember between runs out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFFECTRUM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("AFFECTRUM_TRACEBACK", raising=False)
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Networks of tests are small: more than one thread only makes workers wait for each other."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _twin(corpus: str, top: Path, **options: object) -> Path:
    from affectrum.twins import TwinSettings, write_twin

    # A strong effect, so that a handful of windows is enough to see a method learn.
    settings = TwinSettings.easy()
    return write_twin(corpus, top / corpus, settings=settings, seed=1, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def twin_seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a simulated SEED: 3 subjects, one session, 4-s trials, easy; tests only read it."""
    top = tmp_path_factory.mktemp("twins")
    options = {"subjects": 3, "sessions": 1, "trial_seconds": 4.0, "forms": ["preprocessed"]}
    return _twin("SEED", top, **options)


@pytest.fixture(scope="session")
def twin_seed_iv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a simulated SEED-IV: 3 subjects, one session, 4-s trials, easy; tests only read it."""
    top = tmp_path_factory.mktemp("twins")
    options = {"subjects": 3, "sessions": 1, "trial_seconds": 4.0, "forms": ["raw"]}
    return _twin("SEED-IV", top, **options)


@pytest.fixture(scope="session")
def twin_deap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a simulated DEAP: 3 subjects, 3-s trials, easy; tests only read it."""
    top = tmp_path_factory.mktemp("twins")
    return _twin("DEAP", top, subjects=3, trial_seconds=3.0, forms=["python"])
