from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from affectrum.windows import Windows

# Labels in the order of presentation of the first session, from the vendors' label files.
SEED_CODES = [1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1]
SEED = [("neutral", "positive", "negative")[code] for code in SEED_CODES]
SEED4_CODES = [1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3]
SEED4 = [("neutral", "sad", "fear", "happy")[code] for code in SEED4_CODES]
SEED_FILMS = {
    "positive": ["thailand", "thailand", "scholar", "pandora", "pandora"],
    "negative": ["aftershock", "1942", "1942", "1942", "aftershock"],
    "neutral": ["huangshan", "huangshan", "suzhou", "suzhou", "lijiang"],
}


def make_windows(
    corpus: str = "SEED",
    *,
    n_subjects: int = 3,
    n_sessions: int = 1,
    n_windows: int = 3,
    shape: tuple[int, int] = (4, 2),
    seed: int = 0,
    recipe: str = "r1",
    emotions: list[str] | None = None,
    step_s: float = 1.0,
) -> Windows:
    """Small windows with a class effect, a subject effect and the corpora's real trial order."""
    rng = np.random.default_rng(seed + len(corpus))
    rows, values = [], []
    for subject in range(1, n_subjects + 1):
        offset = rng.standard_normal(shape)
        for session in range(1, n_sessions + 1):
            labels = emotions or (
                SEED if corpus == "SEED" else SEED4 if corpus == "SEED-IV" else [""] * 40
            )
            seen: dict[str, int] = {}
            onset = 5.0
            for row, emotion in enumerate(labels, start=1):
                number = seen.get(emotion, 0)
                seen[emotion] = number + 1
                film = (
                    SEED_FILMS[emotion][number] if corpus == "SEED" and emotions is None else None
                )
                series = "heritage" if film and emotion == "neutral" else film
                valence = float(rng.uniform(1, 9)) if corpus == "DEAP" else np.nan
                effect = {"positive": 1.0, "happy": 1.0, "negative": -1.0, "sad": -1.0}.get(
                    emotion, 0.0
                )
                for window in range(n_windows):
                    rows.append(
                        {
                            "corpus": corpus,
                            "subject": subject,
                            "session": session,
                            "row": row,
                            "trial": pd.NA if corpus == "DEAP" else row,
                            "clip": f"{corpus}/{row:02d}"
                            if corpus != "SEED-IV"
                            else f"{corpus}/{session}-{row:02d}",
                            "film": film,
                            "series": series,
                            "emotion": emotion or None,
                            "rating_valence": valence,
                            "rating_arousal": valence,
                            "onset_s": onset,
                            "window": window,
                            "start_s": window * step_s,
                            "simulated": True,
                        }
                    )
                    values.append(offset + effect + 0.3 * rng.standard_normal(shape))
                onset += n_windows * step_s + 10.0
    return Windows.from_arrays(
        np.array(values, dtype=np.float32),
        pd.DataFrame(rows),
        sfreq=200.0,
        channels=tuple(f"E{index}" for index in range(shape[0])),
        bands={f"b{index}": (4.0 * index + 1, 4.0 * index + 5) for index in range(shape[1])},
        recipe=recipe,
    )


@pytest.fixture
def make() -> Callable[..., Windows]:
    return make_windows


@pytest.fixture
def seed() -> Windows:
    return make_windows("SEED")


@pytest.fixture
def seed4() -> Windows:
    return make_windows("SEED-IV")


@pytest.fixture
def deap() -> Windows:
    return make_windows("DEAP")
