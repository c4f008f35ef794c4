"""Controls, with simulated truth: what a score comes from is known, and the control says it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmark_helpers import make_plan

from affectrum.benchmark import load_record, run_plan
from affectrum.benchmark.cells import expand
from affectrum.benchmark.controls import CONTROLS, chosen_controls, control_folds
from affectrum.benchmark.controls.labels import balanced_permutation
from affectrum.errors import AccessError, ConfigError
from affectrum.evaluation import score_predictions
from affectrum.methods.registry import make_method
from affectrum.protocols import PROTOCOLS, TARGET_USES, plan_folds, truth
from affectrum.windows import Windows

CHANNELS = ("Fp1", "F7", "T8", "Cz", "Pz", "O1")
BANDS = {"theta": (4.0, 8.0), "alpha": (8.0, 14.0), "beta": (14.0, 31.0), "gamma": (31.0, 45.0)}
CLASSES = ("negative", "neutral", "positive")


def simulate(
    what: str = "emotion",
    *,
    corpus: str = "SEED",
    n_subjects: int = 4,
    n_clips: int = 15,
    n_windows: int = 3,
    n_sessions: int = 1,
    seed: int = 0,
    strength: float = 2.0,
) -> Windows:
    """Windows whose signal holds the emotion, the clip, muscles, the order, or nothing."""
    rng = np.random.default_rng(seed)
    labels = [CLASSES[number % 3] for number in range(n_clips)]
    if what == "order":
        labels = sorted(labels)
    prints = rng.standard_normal((n_clips, 6, 4))
    effect = {name: rng.standard_normal((6, 4)) for name in CLASSES}
    rows, values = [], []
    for subject in range(1, n_subjects + 1):
        offset = rng.standard_normal((6, 4))
        for session in range(1, n_sessions + 1):
            for clip, emotion in enumerate(labels):
                for window in range(n_windows):
                    value = offset * 0.2 + rng.standard_normal((6, 4))
                    if what == "emotion":
                        value = value + strength * effect[emotion]
                    if what == "clip":
                        value = value + strength * prints[clip]
                    if what == "muscle":
                        value[:3, 3] += strength * 2 * (CLASSES.index(emotion) - 1)
                    values.append(value)
                    rows.append(
                        {
                            "corpus": corpus,
                            "subject": subject,
                            "session": session,
                            "row": clip + 1,
                            "trial": clip + 1,
                            "clip": f"{corpus}/{clip:02d}",
                            "film": f"film-{clip // 2}",
                            "emotion": emotion,
                            "window": window,
                            "start_s": float(window),
                            "simulated": True,
                        }
                    )
    return Windows.from_arrays(
        np.array(values, dtype=np.float32),
        pd.DataFrame(rows),
        sfreq=200.0,
        channels=CHANNELS,
        bands=BANDS,
        recipe="test",
    )


def scored(parts, protocol, control="", method="svm", seed=0, arm="auto", **options) -> float:
    """Mean accuracy over folds, fitted and scored by hand."""
    folds = plan_folds(parts, protocol, seed=seed, **options)
    if control:
        folds = control_folds(folds, parts, control, seed)
    out = []
    for fold in folds:
        fold.audit().raise_if_failed()
        model = make_method(method, arm=arm, calibrate=False).fit(fold.access)
        y = truth(parts, fold)
        out.append(float((model.predict_proba(fold.test).argmax(axis=1) == y).mean()))
    return float(np.mean(out))


# ----------------------------------------------------------------------------- the permutation


@pytest.mark.parametrize("counts", [(5, 5, 5), (3, 3, 3), (2, 1, 3), (20, 4), (1, 1), (4,)])
def test_a_balanced_permutation_forgets_the_classes(counts):
    y = np.repeat(np.arange(len(counts)), counts)
    order = balanced_permutation(y, np.random.default_rng(3))
    assert sorted(order) == list(range(len(y)))
    table = np.zeros((len(counts), len(counts)))
    np.add.at(table, (y, y[order]), 1)
    expected = np.outer(counts, counts) / len(y)
    # as close to independence as whole numbers allow, but for a step
    assert np.abs(table - expected).max() < 1.5
    again = balanced_permutation(y, np.random.default_rng(3))
    assert (again == order).all()


# ---------------------------------------------------------------------------- the null controls


def test_a_trial_that_lends_its_label_lends_the_place_of_the_tasks_table():
    """A tested trial lends too, where a clip is trained in one session and tested in another."""
    part = simulate("emotion", n_subjects=2, n_sessions=2)
    turned = (part.table["session"] == 2).to_numpy()
    order = np.where(turned, 16 - part.table["row"], part.table["row"])
    part = part.with_table(part.table.assign(row=order, trial=order))
    table = {"negative": (-0.5, 0.25), "neutral": (0.0, -0.75), "positive": (0.75, 0.5)}
    plain = plan_folds([part], "within-subject", va_table=table)
    for fold in control_folds(plain, [part], "labels-by-clip", 5):
        source = fold.access.source
        words = source.windows.table["emotion"]
        assert source.va.tolist() == [list(table[word]) for word in words]


def test_a_model_that_recognises_clips_keeps_its_score_under_the_second_null_only():
    """The design's example: shared clips, no emotion in the signal at all."""
    parts = [simulate("clip")]
    assert scored(parts, "loso") > 0.8
    by_trial = np.mean([scored(parts, "loso", "labels-by-trial", seed=s) for s in range(2)])
    by_clip = np.mean([scored(parts, "loso", "labels-by-clip", seed=s) for s in range(2)])
    assert by_trial < 0.5
    assert by_clip > 0.8


def test_a_model_that_reads_emotion_falls_under_both_nulls():
    parts = [simulate("emotion")]
    assert scored(parts, "loso") > 0.9
    for control in ("labels-by-trial", "labels-by-clip"):
        assert np.mean([scored(parts, "loso", control, seed=s) for s in range(2)]) < 0.5


@pytest.mark.parametrize("control", ["labels-by-trial", "labels-by-clip"])
@pytest.mark.parametrize("protocol", ["loso", "calibrated", "zero-shot", "within-subject"])
def test_permuted_labels_keep_what_they_promise(control, protocol):
    parts = [simulate("emotion"), simulate("emotion", corpus="other", seed=4)]
    across = protocol in ("calibrated", "zero-shot")
    options = {"target": "SEED", **({"source": "other"} if across else {})}
    plain = plan_folds(parts, protocol, **options)
    folds = control_folds(plain, parts, control, 5)
    assert folds.protocol == plain.protocol
    mapping: dict[str, set[int]] = {}
    for old, new in zip(plain, folds, strict=True):
        new.audit().raise_if_failed()
        y_old, y_new = truth(parts, old), truth(parts, new)
        assert np.bincount(y_old).tolist() == np.bincount(y_new).tolist()
        assert (y_old != y_new).any()
        assert new.id == old.id
        for role in ("source", "calibration"):
            grant, before = getattr(new.access, role), getattr(old.access, role)
            if grant is None:
                continue
            assert np.bincount(grant.y).tolist() == np.bincount(before.y).tolist()
            assert (
                grant.windows.x is before.windows.x or (grant.windows.x == before.windows.x).all()
            )
            # the label columns tell the same lie
            words = grant.windows.table["emotion"].to_numpy(dtype=str)
            assert (words == np.array(CLASSES)[grant.y]).all()
            # windows of a trial keep one class
            trials = grant.windows.table.groupby(["corpus", "subject", "session", "row"])
            assert trials["emotion"].nunique().eq(1).all()
            for name, y in zip(new.tables[role]["clip"], grant.y, strict=True):
                mapping.setdefault(f"{name}", set()).add(int(y))
        for name, y in zip(new.tables["test"]["clip"], y_new, strict=True):
            mapping.setdefault(f"{name}", set()).add(int(y))
    if control == "labels-by-clip":
        assert all(len(classes) == 1 for classes in mapping.values())
    else:
        assert any(len(classes) > 1 for classes in mapping.values())


def test_the_training_side_stays_shared_where_it_was():
    """Zero-shot trains one model for all subjects; so does its control."""
    parts = [simulate("emotion"), simulate("emotion", corpus="other", seed=4)]
    folds = plan_folds(parts, "zero-shot", source="other", target="SEED")
    for control in ("labels-by-trial", "labels-by-clip", "no-muscle", "muscle-probe"):
        changed = control_folds(folds, parts, control, 0)
        prints = {fold.access.fingerprint("source") for fold in changed}
        assert len(prints) == 1, control


def test_unknown_clips_are_refused():
    windows = simulate("emotion")
    unknown = windows.with_column("clip", [None] * len(windows))
    folds = control_folds(plan_folds(unknown, "loso"), [unknown], "labels-by-clip")
    with pytest.raises(AccessError, match="not known for 60 of 60 trials"):
        folds[0]


# -------------------------------------------------------------------------------- the companions


def test_muscles_alone_and_all_but_muscles():
    muscle, emotion = [simulate("muscle")], [simulate("emotion")]
    assert scored(muscle, "loso", "muscle-probe") > 0.9
    assert scored(muscle, "loso", "no-muscle") < 0.45
    assert scored(emotion, "loso", "no-muscle") > 0.8
    folds = plan_folds(muscle, "loso")
    probe = control_folds(folds, muscle, "muscle-probe")[0]
    assert probe.test.channels == ("Fp1", "F7", "T8")
    assert [band.name for band in probe.test.bands] == ["gamma"]
    rest = control_folds(folds, muscle, "no-muscle")[0]
    assert rest.test.channels == ("Cz", "Pz", "O1")
    assert [band.name for band in rest.test.bands] == ["theta", "alpha"]
    assert rest.access.source.windows.shape[1:] == (3, 2)
    np.testing.assert_array_equal(rest.test.x, folds[0].test.x[:, 3:, :2])


def test_muscles_in_signals():
    """Raw windows: a 38-Hz wave at the edge, a 10-Hz wave inside."""
    features = simulate("emotion")
    rng = np.random.default_rng(0)
    time = np.arange(200) / 200.0
    x = 1e-6 * rng.standard_normal((len(features), 6, 200)).astype(np.float32)
    x[:, :3] += (20e-6 * np.sin(2 * np.pi * 38 * time)).astype(np.float32)
    x[:, 3:] += (20e-6 * np.sin(2 * np.pi * 10 * time)).astype(np.float32)
    raw = Windows.from_arrays(
        x, features.table, sfreq=200.0, channels=CHANNELS, kind="raw", recipe="raw"
    )
    folds = plan_folds(raw, "loso", scaling="none")
    probe = control_folds(folds, [raw], "muscle-probe")[0]
    assert probe.test.kind == "de"
    assert probe.test.shape[1:] == (3, 1)
    # half the squared amplitude, for a wave that a Hann window weighs evenly
    np.testing.assert_allclose(np.exp(probe.test.x.mean()), 0.5 * (20e-6) ** 2, rtol=0.1)
    rest = control_folds(folds, [raw], "no-muscle")[0]
    assert rest.test.shape[1:] == (3, 200)
    assert rest.test.x.std() == pytest.approx(20e-6 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize(
    ("control", "channels", "bands", "words"),
    [
        ("muscle-probe", ("Cz", "Pz"), BANDS, "electrodes at the edge"),
        ("muscle-probe", ("Fp1", "F7"), {"alpha": (8.0, 14.0)}, "band above 30 Hz"),
        ("no-muscle", ("Fp1", "F7"), BANDS, "leaves no electrode"),
        ("no-muscle", ("Cz", "Pz"), {"gamma": (31.0, 45.0)}, "leaves no band"),
        ("no-muscle", ("E1", "E2"), BANDS, "where electrodes are"),
    ],
)
def test_controls_say_what_is_missing(control, channels, bands, words):
    windows = simulate("emotion")
    x = np.random.default_rng(0).standard_normal((len(windows), 2, len(bands)))
    small = Windows.from_arrays(
        x.astype(np.float32), windows.table, sfreq=200.0, channels=channels, bands=bands
    )
    with pytest.raises(AccessError, match=words):
        control_folds(plan_folds(small, "loso"), [small], control)[0]


def test_the_clip_probe_names_clips():
    parts = [simulate("clip")]
    folds = control_folds(plan_folds(parts, "loso"), parts, "clip-probe")
    fold = folds[0]
    assert len(fold.classes) == 15
    assert (truth(parts, fold) == np.repeat(np.arange(15), 3)).all()
    assert scored(parts, "loso", "clip-probe", arm="source") > 0.8
    assert scored([simulate("nothing")], "loso", "clip-probe", arm="source") < 0.2
    # under emotion alone a clip can be told from those of other classes only
    assert scored([simulate("emotion")], "loso", "clip-probe", arm="source") < 0.4
    # films: two clips each, but for the last
    films = control_folds(plan_folds(parts, "loso"), parts, "film-probe")[0]
    assert len(films.classes) == 8


def test_the_clip_probe_tests_only_clips_that_train():
    parts = [simulate("clip", n_sessions=2)]
    # session 2 shows the clips of session 1: what is in training can be recognised
    fold = control_folds(plan_folds(parts, "cross-session"), parts, "clip-probe")[0]
    assert len(fold.test) == 45
    fold = control_folds(plan_folds(parts, "within-subject"), parts, "clip-probe")
    with pytest.raises(AccessError, match="nothing to recognise"):
        fold[0]


# ------------------------------------------------------------------------------- plans and cells


def plan_of(controls, **changes):
    return make_plan(**{"methods": ["svm", "position"], "controls": controls, **changes})


def test_a_plan_lists_its_control_cells(parts):
    plan = plan_of(True, seeds=[3, 4])
    cells = expand(plan)
    mine = [cell for cell in cells if cell.control]
    assert len({cell.digest for cell in cells}) == len(cells)
    names = [cell.control for cell in mine]
    # once per method that sees the signal, then once per task; clips can't be shared here
    assert names == [
        "labels-by-trial",
        "labels-by-clip",
        "no-muscle",
        "chance",
        "position",
        "nearest-trial",
        "muscle-probe",
        "target-only",
        "film-probe",
    ]
    assert {cell.seed for cell in mine} == {3}
    assert expand(plan_of(False)) == [c for c in expand(plan_of(True)) if not c.control]
    assert [c.control for c in expand(plan_of(["chance"])) if c.control] == ["chance"]
    inside = plan_of(True, tasks=[{"target": "SEED", "protocol": "loso"}])
    names = [cell.control for cell in expand(inside) if cell.control]
    assert "clip-probe" in names
    assert "target-only" not in names
    disjoint = {"target": "SEED", "protocol": "loso", "stimulus_disjoint": "film"}
    names = [cell.control for cell in expand(plan_of(True, tasks=[disjoint])) if cell.control]
    assert not {"clip-probe", "film-probe"} & set(names)


def test_unknown_controls_are_refused():
    with pytest.raises(ConfigError, match=r"(?s)'chanse'.*[Dd]id you mean.*chance"):
        expand(plan_of(["chanse"]))
    assert chosen_controls(False) == ()
    assert chosen_controls(True) == tuple(CONTROLS.values())
    assert [info.name for info in chosen_controls(("position", "chance"))] == ["chance", "position"]


def test_control_cells_are_stored_beside_the_scores_and_apart_from_them(tmp_path):
    parts = {"SEED": simulate("clip")}
    plan = plan_of(True, tasks=[{"target": "SEED", "protocol": "loso"}], methods=["svm"], seeds=[0])
    report = run_plan(plan, tmp_path, windows=parts)
    assert report.ok
    assert not report.refused
    assert len(load_record(tmp_path)) == 1
    found = {cell.meta["control"]: cell for cell in load_record(tmp_path, controls=True)}
    assert set(found) == {"", *CONTROLS} - {"target-only"}
    means = {
        name: float(score_predictions(cell.evaluable())["accuracy"].mean())
        for name, cell in found.items()
    }
    assert means[""] > 0.8
    assert means["labels-by-clip"] > 0.8
    assert means["labels-by-trial"] < 0.6
    assert means["clip-probe"] > 0.8
    # everybody sees one order: position alone knows the class
    assert means["position"] == means["nearest-trial"] == 1.0
    assert means["chance"] == pytest.approx(1 / 3)
    assert all(cell.certificates()[0].passed for cell in found.values())
    assert found["clip-probe"].classes[0] == "SEED/00"
    assert found["muscle-probe"].meta["channels"] == ["Fp1", "F7", "T8"]
    # again: nothing is computed twice
    assert len(run_plan(plan, tmp_path, windows=parts).kept) == len(report.cells)
    text = json.dumps(found["clip-probe"].meta)
    assert str(tmp_path) not in text


def test_the_nearest_training_trial_within_a_subject(tmp_path):
    """Trials in blocks of one class: the last training trial's class goes on for a while."""
    parts = {"SEED": simulate("order", n_clips=12)}
    task = {"target": "SEED", "protocol": "within-subject", "calibration_trials": 6}
    plan = plan_of(["nearest-trial"], tasks=[task], methods=["svm"], seeds=[0])
    run_plan(plan, tmp_path, windows=parts)
    cell = next(c for c in load_record(tmp_path, controls=True) if c.meta["control"])
    # classes by clip: 4 negative, 4 neutral, 4 positive; trial 6 is neutral
    assert (cell.predictions["y_pred"] == 1).all()
    assert float((cell.predictions["y_true"] == 1).mean()) == pytest.approx(2 / 6)


def test_changed_folds_keep_the_access_of_the_protocol():
    parts = [simulate("emotion"), simulate("emotion", corpus="other", seed=4)]
    plain = plan_folds(parts, "calibrated", source="other", target="SEED")[0]
    for control in CONTROLS:
        if control.endswith("-probe") and control != "muscle-probe":
            continue
        changed = control_folds(
            plan_folds(parts, "calibrated", source="other", target="SEED"), parts, control
        )[0]
        assert changed.access.grants == plain.access.grants
        assert changed.access.seed == plain.access.seed
        assert replace(changed.access, source=None).calibration is not None
        assert changed.audit().passed, control


@pytest.mark.slow
@pytest.mark.parametrize("control", CONTROLS)
def test_every_protocol_takes_every_control_or_says_why(control):
    """The audit passes on changed folds, and a model can be fitted on them."""
    parts = [
        simulate(corpus=name, seed=seed, n_subjects=3, n_sessions=sessions)
        for name, seed, sessions in (("SEED", 0, 2), ("B", 3, 1), ("C", 4, 1))
    ]
    special = {
        "pretrain-finetune": {"source": "B", "split": "trials:5/5/5"},
        "leave-one-lab-out": {"labs": {"B": "b", "C": "c"}},
    }
    for base, info in PROTOCOLS.items():
        if base == "own-split":
            continue
        options = special.get(info.id, special.get(info.family, {}))
        if info.family == "cross-corpus":
            options = {"source": ["B", "C"]}
        for use in TARGET_USES if info.mode == "unsupervised" else [None]:
            used = {**options, **({"target_use": use} if use else {})}
            folds = plan_folds(parts, base, target="SEED", **used)
            changed = control_folds(folds, parts, control)
            if control == "clip-probe" and not _shares_clips(folds[0]):
                with pytest.raises(AccessError, match="nothing to recognise"):
                    changed[0]
                continue
            fold = changed[0]
            assert fold.audit().passed, (base, use)
            trained = fold.access.source is not None
            model = make_method("svm", calibrate=False, arm="source" if trained else "calibration")
            model.fit(fold.access)
            assert model.predict_proba(fold.test).shape == (len(fold.test), len(fold.classes))


def _shares_clips(fold) -> bool:
    seen = [
        table["clip"] for role, table in fold.tables.items() if role in ("source", "calibration")
    ]
    return bool(set(pd.concat(seen)) & set(fold.tables["test"]["clip"]))
