"""Pictures of methods on signals: corpora of several shapes, windows slow to score."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from affectrum.benchmark.extras import embeddings, region_drops
from affectrum.protocols import Access, Grant
from affectrum.windows import Windows


def signals(corpus: str, n: int, channels: tuple[str, ...], n_samples: int) -> Windows:
    rng = np.random.default_rng(n)
    table = pd.DataFrame(
        {"corpus": corpus, "subject": 1, "trial": 1 + np.arange(n) // 2, "window": np.arange(n) % 2}
    )
    x = rng.standard_normal((n, len(channels), n_samples))
    return Windows.from_arrays(x, table, sfreq=50.0, channels=channels, kind="raw")


class Stub:
    """Scores by the first electrode's mean; embeds as four means."""

    def __init__(self) -> None:
        self.scored = 0

    def predict_proba(self, windows: Windows) -> np.ndarray:
        self.scored += len(windows)
        mean = windows.x[:, 0].mean(axis=1)
        return np.column_stack([-mean, mean])

    def embed(self, windows: Windows, stage: str = "finetuned") -> np.ndarray:
        flat = windows.x.reshape(len(windows), -1)
        return np.column_stack([flat[:, number::4].mean(axis=1) for number in range(4)])


def fold_of(test: Windows, sources: tuple[Grant, ...]) -> Any:
    access = Access("pretrain-finetune", ("low", "high"), source_parts=sources)
    return SimpleNamespace(access=access, test=test, classes=("low", "high"), id="one")


def test_sources_of_several_shapes_are_drawn_together() -> None:
    a, b = signals("A", 40, ("Fz", "Cz"), 100), signals("B", 30, ("Pz",), 60)
    test = signals("T", 20, ("Oz", "Fp1"), 80)
    y = np.arange(20) % 2
    labelled = Grant(b, np.ones(30, dtype=np.int64))
    drawn = embeddings(Stub(), fold_of(test, (Grant(a), labelled)), y)  # type: ignore[arg-type]
    assert drawn is not None
    assert drawn["stages"].tolist() == ["pretrained", "finetuned"]
    assert drawn["embedding_finetuned"].shape == (90, 4)
    assert drawn["domain"].tolist() == [0] * 70 + [1] * 20
    assert drawn["corpus"].tolist() == ["A"] * 40 + ["B"] * 30 + ["T"] * 20
    assert drawn["y"].tolist() == [-1] * 40 + [1] * 30 + y.tolist()


def test_permuted_signals_are_few_and_evenly_spread() -> None:
    test = signals("T", 300, ("Oz", "Fp1"), 20)
    y = (test.x[:, 0].mean(axis=1) > 0).astype(np.int64)
    stub = Stub()
    regions, baseline, drop = region_drops(
        stub,
        fold_of(test, ()),
        y,
        np.random.default_rng(0),  # type: ignore[arg-type]
    )
    assert stub.scored == 64 * (1 + 3 * len(regions))
    assert baseline == 1.0
    told = dict(zip(regions, drop, strict=True))
    # only the first electrode matters
    assert sum(value > 0.3 for value in told.values()) == 1
    assert sum(value == 0.0 for value in told.values()) == len(regions) - 1
