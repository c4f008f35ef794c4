"""A difference that holds for other people may still be one of two training runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd

from affectrum.report.findings import find


def statements(difference: float, seed_sd: float, n_seeds: int, supported: bool = True) -> str:
    row = {
        "first": "a",
        "second": "b",
        "difference": difference,
        "low": difference - 0.01,
        "high": difference + 0.01,
        "effect_size": 1.0,
        "effect_low": 0.5,
        "effect_high": 1.5,
        "dominance": 1.0,
        "cliffs_delta": 1.0,
        "p_value": 0.001,
        "p_holm": 0.001,
        "detectable": 0.02,
        "seed_sd": seed_sd,
        "n_seeds": n_seeds,
        "supported": supported,
        "supported_alone": supported,
        "testable": True,
    }
    panel: Any = SimpleNamespace(pairs=pd.DataFrame([row]), biased="", tasks=[], methods=[])
    return " ".join(find(panel).statements)


def test_differences_within_the_noise_of_seeds_are_named() -> None:
    # standard error 0.06 / sqrt(4) = 0.03: a difference of 0.05 is below twice that, 0.07 is not
    assert "other training runs may turn the sign: b against a." in statements(-0.05, 0.06, 4)
    assert "training run" not in statements(0.07, 0.06, 4)


def test_one_seed_is_said_and_only_of_what_is_supported() -> None:
    assert "1 of the supported is of one seed" in statements(0.07, float("nan"), 1)
    assert "seed" not in statements(0.07, float("nan"), 1, supported=False)
