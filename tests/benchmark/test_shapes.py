"""Benchmark cells and controls of tasks whose source corpora differ in shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from affectrum.benchmark import Plan, load_record, run_plan
from affectrum.benchmark.controls import control_folds
from affectrum.benchmark.merge import merge_files
from affectrum.benchmark.share import share_run
from affectrum.benchmark.tasks import TaskPlan
from affectrum.errors import AccessError
from affectrum.harmonise import SEED62
from affectrum.methods import registry
from affectrum.methods.base import Method, Pretrained
from affectrum.protocols import plan_folds
from affectrum.signals.filters import bandpass
from affectrum.windows import Windows
from affectrum.windows.lazy import LazyRows

WORDS = ("sad", "neutral", "happy")
PLACES = {"sad": (-0.25, 0.25), "neutral": (0.0, 0.0), "happy": (0.75, 0.5)}


def signals(corpus: str, n_channels: int, sfreq: float, n_samples: int) -> Windows:
    rows = [(s, t, w) for s in (1, 2, 3, 4) for t in range(1, 13) for w in (0, 1)]
    table = pd.DataFrame(rows, columns=["subject", "trial", "window"])
    words = [WORDS[trial % 3] for trial in table["trial"]]
    places = np.array([PLACES[word] for word in words])
    table = table.assign(
        corpus=corpus,
        emotion=words,
        clip=[f"{corpus}/{trial}" for trial in table["trial"]],
        valence=places[:, 0],
        arousal=places[:, 1],
    )
    x = np.random.default_rng(n_channels).standard_normal(
        (len(table), n_channels, n_samples), dtype=np.float32
    )
    return Windows.from_arrays(
        x, table, sfreq=sfreq, channels=SEED62[:n_channels], kind="raw", recipe=f"r{n_samples}"
    )


PARTS = {"A": signals("A", 20, 128, 128), "B": signals("B", 24, 200, 200),
         "C": signals("C", 22, 128, 64)}  # fmt: skip


class ManyShapes(Method):
    """Knows no more than the mean place of the source and the classes of the calibration."""

    name = "test-many-shapes"
    needs = ("source_plane", "calibration_labels")
    takes_several_shapes = True
    seen: ClassVar[list[Any]] = []

    def pretrain_fingerprint(self, access: Any) -> str | None:
        return f"places-{access.fingerprint('source')}"

    def pretrain(self, access: Any, *, progress: Any = None) -> Pretrained | None:
        mean = np.nanmean(np.concatenate([part.va for part in access.source_parts]), axis=0)
        return Pretrained(self.pretrain_fingerprint(access), {"mean": mean}, {})

    def fit(self, access: Any, *, observer=None, pretrained=None, progress=None):
        self.check_access(access)
        self.seen.append([part.windows.shape[1:] for part in access.source_parts])
        self.classes_ = access.classes
        self.share_ = np.bincount(access.calibration.y, minlength=len(access.classes)) + 1.0
        return self

    def predict_proba(self, windows: Windows):
        return np.tile(self.share_ / self.share_.sum(), (len(windows), 1))

    def state(self):
        return {"share": self.share_}, self.base_meta()

    def load_state(self, arrays, meta):
        self.share_, self.classes_ = arrays["share"], tuple(meta["classes"])
        return self


@pytest.fixture(autouse=True)
def registered():
    registry._REGISTERED["test-many-shapes"] = ManyShapes
    yield
    registry._REGISTERED.pop("test-many-shapes", None)


def folds(**options: Any):
    chosen = {"split": "subjects:2/1/1", "classes": list(WORDS), "target": "C", **options}
    return plan_folds(list(PARTS.values()), "pretrain-finetune", **chosen)


def places_of(grant: Any) -> np.ndarray:
    return np.array([PLACES[word] for word in grant.windows.table["emotion"]])


@pytest.mark.parametrize("control", ["labels-by-trial", "labels-by-clip"])
def test_places_move_with_the_labels(control: str) -> None:
    plain = folds()[0].access
    changed = control_folds(folds(), list(PARTS.values()), control, 3)[0]
    assert changed.audit().passed
    for before, after in zip(plain.source_parts, changed.access.source_parts, strict=True):
        moved = (before.y != after.y).mean()
        assert moved > 0.4
        assert np.array_equal(np.bincount(before.y), np.bincount(after.y))
        # label, word and place of a window stay those of one trial
        assert [WORDS[y] for y in after.y] == after.windows.table["emotion"].tolist()
        assert np.array_equal(after.va, places_of(after))
    assert np.array_equal(changed.access.calibration.va, places_of(changed.access.calibration))


@pytest.mark.parametrize("control", ["labels-by-trial", "labels-by-clip"])
def test_places_without_classes_are_permuted_too(control: str) -> None:
    plain = folds(source_labels="plane")[0]
    changed = control_folds(
        folds(source_labels="plane"), list(PARTS.values()), control, 3
    )[0]  # fmt: skip
    assert changed.audit().passed
    for before, after in zip(
        plain.access.source_parts, changed.access.source_parts, strict=True
    ):  # fmt: skip
        assert after.y is None
        table = plain.tables["source"]
        mine = table[table["corpus"] == before.windows.corpus].reset_index(drop=True)
        assert (before.va != after.va).any(axis=1).mean() > 0.4
        for _, rows in mine.groupby("subject").indices.items():  # a person keeps its places
            assert sorted(map(tuple, before.va[rows])) == sorted(map(tuple, after.va[rows]))
        for _, rows in mine.groupby(["subject", "row"]).indices.items():
            assert (after.va[rows] == after.va[rows[0]]).all()  # one place a trial
        if control == "labels-by-clip":  # alike for everybody
            for _, rows in mine.groupby("clip").indices.items():
                assert (after.va[rows] == after.va[rows[0]]).all()


def test_muscles_are_taken_out_of_each_corpus_at_its_own_electrodes(tmp_path: Path) -> None:
    parts = []
    for name, part in PARTS.items():
        np.save(tmp_path / f"{name}.npy", part.x)
        x = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
        parts.append(
            Windows(
                x,
                part.table,
                kind="raw",
                channels=part.channels,
                sfreq=part.sfreq,
                recipe=part.recipe,
            )
        )
    made = plan_folds(
        parts, "pretrain-finetune", target="C", split="subjects:2/1/1", classes=list(WORDS)
    )
    changed = control_folds(made, parts, "no-muscle")[0]
    for name, part in zip("AB", changed.access.source_parts, strict=True):
        windows = part.windows
        assert isinstance(windows._base, LazyRows)  # filtered when it is read
        inner = [PARTS[name].channels.index(channel) for channel in windows.channels]
        assert 0 < len(inner) < PARTS[name].shape[1]
        expected = bandpass(PARTS[name].x[:7, inner], PARTS[name].sfreq, None, 20.0)
        np.testing.assert_allclose(windows.batch(slice(0, 7)), expected, atol=1e-5)
    probe = control_folds(made, parts, "muscle-probe")[0]
    assert [part.windows.kind for part in probe.access.source_parts] == ["de", "de"]


def test_cells_of_several_shapes_and_recipes(tmp_path: Path) -> None:
    plan = Plan(
        tasks=[
            {
                "source": ["A", "B"], "target": "C", "protocol": "pretrain-finetune",
                "classes": list(WORDS), "split": "subjects:2/1/1", "source_labels": "plane",
                "recipe": "emod-1s", "source_recipe": "emod", "selection": "validation",
            }
        ],
        methods=["test-many-shapes", {"name": "most-frequent", "arm": "calibration"},
                 {"name": "logistic", "arm": "source"}],
        seeds=[0],
        controls=["labels-by-trial"],
    )  # fmt: skip
    ManyShapes.seen.clear()
    run_plan(plan, tmp_path, windows=lambda corpus, recipe: PARTS[corpus])
    assert ManyShapes.seen == [[(20, 128), (24, 200)]] * 2
    cells = {
        (cell.meta["method"]["name"], cell.meta["control"]): cell
        for cell in load_record(tmp_path, controls=True)
    }
    assert sorted(cells) == [
        ("most-frequent", ""), ("test-many-shapes", ""), ("test-many-shapes", "labels-by-trial"),
    ]  # fmt: skip
    meta = cells["test-many-shapes", ""].meta
    assert meta["grants"][:2] == ["source_signals", "source_plane"]
    assert meta["recipe"] == {"name": "emod-1s", "digest": "r64"}  # the target's
    assert meta["scaling"] == "none"
    assert meta["folds"][0]["n_windows"]["source"] == 192
    prints = {name: cell.meta["folds"][0]["source_fingerprint"] for name, cell in cells.items()}
    assert prints["test-many-shapes", ""] == prints["most-frequent", ""]
    assert prints["test-many-shapes", ""] != prints["test-many-shapes", "labels-by-trial"]
    # other labs take the results, whose grants are those of such a task
    share_run(tmp_path, tmp_path / "shared.zip")
    merged = merge_files([tmp_path / "shared.zip"], tmp_path / "merged")
    assert (merged.joined[0][1], merged.controls, merged.refused) == (2, 1, [])


def test_one_shape_methods_are_refused_by_a_sentence() -> None:
    with pytest.raises(AccessError, match="differ"):
        registry.make_method("dann").check_access(folds()[0].access)


def test_a_task_names_its_places() -> None:
    task = {"source": "A", "target": "C", "protocol": "pretrain-finetune", "split": "subjects:2/1"}
    made = TaskPlan(**task, source_labels="plane", va_table={"awe": [0.5, 1.0]})
    assert made.fold_options()["va_table"] == {"awe": (0.5, 1.0)}
    assert made.fold_options()["source_labels"] == "plane"
    for wrong, says in (("no-such", "va_table: "), ({"awe": [0.5, 7.0]}, "outside the plane")):
        with pytest.raises(ValueError, match=says):
            TaskPlan(**task, va_table=wrong)
    with pytest.raises(ValueError, match="plane"):
        TaskPlan(**task, source_labels="va")
