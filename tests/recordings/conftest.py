from __future__ import annotations

from pathlib import Path

import pytest

REAL_EEG = Path(__file__).parents[2].parent / "shared" / "data" / "real_eeg"


@pytest.fixture(scope="session")
def real_eeg() -> Path:
    if not REAL_EEG.is_dir():
        pytest.skip("the real EEG recordings are not on this machine (../shared/data/real_eeg)")
    return REAL_EEG
