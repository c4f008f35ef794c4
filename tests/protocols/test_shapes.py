"""Source corpora of several shapes in one task, what is granted of the plane, and laziness."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import AccessError, ConfigError, LabelError, ProtocolError
from affectrum.harmonise import SEED62
from affectrum.methods import make_method, method_names
from affectrum.protocols import Access, Grant, contents, identity, likeness, make_folds, plan_folds
from affectrum.protocols.access import LABEL_COLUMNS, STIMULUS_COLUMNS
from affectrum.protocols.catalogue import PROTOCOLS
from affectrum.protocols.plane import known_plane, plane_of
from affectrum.windows import Windows
from affectrum.windows.lazy import LazyRows, detached, on_disk, stored

WORDS = ("sad", "neutral", "happy")
# EMOD's integers (3, 5), (4, 4), (7, 6) on 0..8, taken to (x - 4) / 4
PLACES = {"sad": (-0.25, 0.25), "neutral": (0.0, 0.0), "happy": (0.75, 0.5)}
THREE = list(WORDS)


def table_of(
    corpus: str, n_subjects: int = 3, n_trials: int = 6, n_windows: int = 4
) -> pd.DataFrame:
    rows = [
        (subject, trial, window)
        for subject in range(1, n_subjects + 1)
        for trial in range(1, n_trials + 1)
        for window in range(n_windows)
    ]
    table = pd.DataFrame(rows, columns=["subject", "trial", "window"])
    emotion = [WORDS[trial % 3] for trial in table["trial"]]
    places = np.array([PLACES[word] for word in emotion])
    return table.assign(
        corpus=corpus,
        emotion=emotion,
        clip=[f"{corpus}/{trial}" for trial in table["trial"]],
        valence=places[:, 0],
        arousal=places[:, 1],
    )


def signals(
    corpus: str, n_channels: int, sfreq: float, n_samples: int, *, file: Path | None = None, **size
) -> Windows:
    table = table_of(corpus, **size)
    rng = np.random.default_rng(len(corpus) + n_channels)
    x = rng.standard_normal((len(table), n_channels, n_samples), dtype=np.float32) * 1e-5
    windows = Windows.from_arrays(
        x, table, sfreq=sfreq, channels=SEED62[:n_channels], kind="raw", recipe="r"
    )
    return windows if file is None else mapped(windows, file)


def mapped(windows: Windows, file: Path) -> Windows:
    """The same windows with their values in a file, as the store keeps them."""
    np.save(file, windows.x)
    x = np.load(file, mmap_mode="r")
    return Windows(
        x, windows.table, kind=windows.kind, channels=windows.channels, sfreq=windows.sfreq,
        recipe=windows.recipe,
    )  # fmt: skip


@pytest.fixture(scope="module")
def three() -> list[Windows]:
    """Three corpora of three shapes."""
    return [signals("A", 5, 128, 96), signals("B", 7, 200, 150), signals("C", 6, 250, 60)]


def pretrain_finetune(parts: list[Windows], **options) -> Access:
    chosen = {"split": "subjects:1/1/1", "classes": THREE, "target": "C", **options}
    return make_folds(parts, "pretrain-finetune", **chosen)[0].access


# ------------------------------------------------------------------------------------- shapes


def test_every_corpus_is_granted_in_its_own_shape(three) -> None:
    fold = make_folds(
        three, "pretrain-finetune", target="C", split="subjects:1/1/1", classes=THREE,
        selection="validation",
    )[0]  # fmt: skip
    access = fold.access
    assert access.source is None
    assert [(p.windows.corpus, p.windows.shape, p.windows.sfreq) for p in access.source_parts] == [
        ("A", (72, 5, 96), 128.0), ("B", (72, 7, 150), 200.0),
    ]  # fmt: skip
    for part, given in zip(access.source_parts, three, strict=False):
        assert np.array_equal(part.windows.x, given.x)
        assert [WORDS[y] for y in part.y] == given.table["emotion"].tolist()
    assert access.grants == (
        "source_signals", "source_labels", "calibration_signals", "calibration_labels",
        "validation",
    )  # fmt: skip
    assert fold.scaling == "none"
    assert fold.scalers == ()
    assert fold.audit().passed
    assert len(fold.tables["source"]) == 144


def test_one_shape_is_joined_and_split_into_the_same_parts(three) -> None:
    more = [three[0], signals("D", 5, 128, 96), signals("C", 5, 128, 96)]
    access = pretrain_finetune(more, scaling="none")
    assert len(access.source) == 144
    assert [part.windows.corpus for part in access.source_parts] == ["A", "D"]
    joined = np.concatenate([part.windows.x for part in access.source_parts])
    assert np.array_equal(joined, access.source.windows.x)
    assert np.array_equal(
        np.concatenate([part.va for part in access.source_parts]), access.source.va
    )
    # the parts follow a source that was changed
    other = Access("p", ("a",), source=access.source_parts[1], source_parts=access.source_parts)
    assert len(other.source_parts) == 1


def test_every_corpus_is_left_out_in_turn(three) -> None:
    folds = plan_folds(three, "leave-one-corpus-out", classes=THREE)
    found = {}
    for fold in folds:
        found.setdefault(fold.target, [p.windows.corpus for p in fold.access.source_parts])
        assert fold.access.source is None
        assert fold.test.shape[1:] == {p.corpus: p.shape[1:] for p in three}[fold.target]
    assert found == {"A": ["B", "C"], "B": ["A", "C"], "C": ["A", "B"]}
    assert folds[0].audit().passed


def test_one_source_of_another_shape_than_the_target_is_no_joined_source(three) -> None:
    folds = make_folds(three, "zero-shot", source="A", target="B", classes=THREE)
    assert folds[0].access.source is None
    assert [p.windows.shape for p in folds[0].access.source_parts] == [(72, 5, 96)]


def test_a_scaler_that_fits_no_two_shapes_is_refused(three) -> None:
    with pytest.raises(ProtocolError, match=r"no scaler fits them all.*scaling='none'"):
        pretrain_finetune(three, scaling="source")
    assert pretrain_finetune(three, scaling="source", scaler="none").source_parts


def test_validation_of_the_sources_shape_is_refused(three) -> None:
    with pytest.raises(ProtocolError, match="differ in electrodes, rate or length"):
        make_folds(three, "leave-one-corpus-out", classes=THREE, selection="validation")


def test_features_of_several_shapes_and_other_recipes_are_still_refused(three, seed, seed4) -> None:
    picked = Windows(
        seed4.x[:, :3], seed4.table, kind="de", channels=seed4.channels[:3], sfreq=seed4.sfreq,
        bands=seed4.bands, recipe=seed4.recipe,
    )  # fmt: skip
    with pytest.raises(ProtocolError, match="electrodes: SEED 4 of them; SEED-IV 3 of them"):
        make_folds([picked, seed], "zero-shot", source="SEED-IV", target="SEED")
    other = Windows(
        three[0].x, three[0].table, kind="raw", channels=three[0].channels, sfreq=128.0, recipe="s"
    )
    # the target's own windows follow pre-training only here
    fold = make_folds(
        [other, *three[1:]], "pretrain-finetune", target="C", split="subjects:1/1/1", classes=THREE
    )[0]
    assert len(fold.access.source_parts) == 2
    assert any("another recipe" in note for note in fold.notes)
    with pytest.raises(ProtocolError, match="recipe: "):
        make_folds([other, *three[1:]], "leave-one-corpus-out", classes=THREE)


def test_a_method_of_one_shape_says_so_and_its_calibration_arm_runs(three) -> None:
    access = pretrain_finetune(three)
    for method in (make_method("logistic", arm="source"), make_method("scmm")):
        with pytest.raises(AccessError, match=r"one shape.*A 5 electrodes x 96 samples; B 7"):
            method.check_access(access)
    method = make_method("logistic", arm="calibration").fit(access)
    assert method.predict_proba(access.calibration.windows).shape == (24, 3)


ACROSS = sorted(
    name for name, info in PROTOCOLS.items() if "source" in info.options and info.mode != ""
)


@pytest.mark.parametrize("stimuli", [None, "clip"])
@pytest.mark.parametrize("protocol", [*ACROSS, "few-shot", "pretrain-finetune"])
def test_every_protocol_across_corpora_takes_several_shapes(three, protocol, stimuli) -> None:
    options: dict = {"target": "C", "stimulus_disjoint": stimuli, "classes": THREE}
    if protocol.startswith("cross-corpus") or protocol == "few-shot":
        options["source"] = "A"
    if protocol.startswith("leave-one-lab-out"):
        options["labs"] = {"A": "one", "B": "two", "C": "three"}
    if protocol == "pretrain-finetune":
        options["split"] = "subjects:1/1/1"
        if stimuli is not None:  # all subjects of the target saw the same clips
            return
    if protocol == "few-shot":
        options["shots"] = 1
    fold = make_folds(three, protocol, **options)[0]
    assert fold.access.source is None
    names = ["A"] if "source" in options else ["A", "B"]
    assert [part.windows.corpus for part in fold.access.source_parts] == names
    assert fold.scaling == "none"
    assert fold.audit().passed


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("pretrain-finetune", {"split": "subjects:1/1/1", "source_labels": "plane"}),
        ("pretrain-finetune", {"split": "trials:2/2/2", "selection": "validation"}),
        ("pretrain-finetune", {"split": "trials:2/2/2", "va_table": "emod"}),
        ("leave-one-subject-out", {}),
        ("leave-one-subject-out", {"selection": "validation", "va_table": "warriner"}),
        ("cross-corpus/zero-shot", {"source": "A"}),
        ("cross-corpus/calibrated", {"source": "A", "calibration_trials": 3}),
        ("leave-one-corpus-out/zero-shot", {}),
        ("leave-one-corpus-out/unsupervised", {"target_use": "others"}),
    ],
)
def test_neither_signals_nor_places_nor_clips_of_the_test_reach_training(
    three, protocol, options
) -> None:
    options = {"target": "C", "classes": THREE, **options}
    fold = plan_folds(three, protocol, **options)[0]
    target, rows = three[2], fold.test_rows
    x, table = target.x.copy(), target.table.copy()
    x[rows] = x[rows][:, ::-1] * 3
    turned = {"sad": "happy", "happy": "neutral", "neutral": "sad"}
    table.loc[rows, "emotion"] = [turned[word] for word in table["emotion"].iloc[rows]]
    table.loc[rows, "clip"] = [f"other {clip}" for clip in table["clip"].iloc[rows]]
    table.loc[rows, ["valence", "arousal"]] = (-0.9, 0.9)
    changed = [*three[:2], target.with_x(x).with_table(table)]
    again = plan_folds(changed, protocol, **options)[0]
    np.testing.assert_array_equal(again.test_rows, rows)
    assert not np.array_equal(again.test.x, fold.test.x)
    assert fold.test.table.equals(again.test.table)
    roles = ["source", "calibration", "unlabelled", "validation"]
    granted = [role for role in roles if getattr(fold.access, role) is not None]
    granted += ["source"] if fold.access.source is None and fold.access.source_parts else []
    assert granted
    for role in granted:
        assert fold.access.fingerprint(role) == again.access.fingerprint(role), role


def test_no_method_of_one_shape_is_let_in(three) -> None:
    access = make_folds(three, "leave-one-corpus-out", target="C", classes=THREE)[0].access
    for name in method_names():
        method = make_method(name)
        if method.takes_several_shapes:
            method.check_access(access)
        else:
            with pytest.raises(AccessError):
                method.check_access(access)


# -------------------------------------------------------------------------------------- plane


def test_places_of_words_columns_and_ratings() -> None:
    table = table_of("A", 1, 3, 1)  # neutral, happy, sad
    expected = [PLACES["neutral"], PLACES["happy"], PLACES["sad"]]
    assert plane_of(table).tolist() == [list(p) for p in expected]
    moved = plane_of(table, {"happy": (-1.0, 1.0), "sad": (0.5, -0.5)})
    assert np.array_equal(moved, [[np.nan, np.nan], [-1, 1], [0.5, -0.5]], equal_nan=True)
    assert (
        plane_of(table.drop(columns=["valence", "arousal"]), "emod").tolist()
        == plane_of(table).tolist()
    )
    rated = table.assign(corpus="DEAP")  # ratings need no table
    assert plane_of(rated, {"happy": (-1.0, 1.0)}).tolist() == plane_of(table).tolist()
    with pytest.raises(LabelError, match=r"outside -1\.\.1, the first is row 1 of A: \(7, 0\.5\)"):
        plane_of(table.assign(valence=[0, 7, 0]))


def test_columns_that_mean_something_else_are_those_of_one_corpus(three) -> None:
    odd = three[0].with_table(three[0].table.assign(valence=7.0))
    alike = signals("D", 5, 128, 96)
    both = pd.concat([odd.table, alike.table], ignore_index=True)
    va = known_plane(both)
    assert np.isnan(va[: len(odd)]).all()
    np.testing.assert_array_equal(va[len(odd) :], plane_of(alike.table))
    assert known_plane(odd.table) is None
    assert known_plane(both.assign(valence=7.0)) is None
    access = make_folds([odd, alike, three[2]], "leave-one-corpus-out", target="C", classes=THREE)[
        0
    ].access
    assert [part.has_plane for part in access.source_parts] == [False, True]


def test_labels_bring_the_plane_along_and_withheld_ones_take_it_away(three) -> None:
    access = pretrain_finetune(three)
    for grant in (*access.source_parts, access.calibration):
        words = grant.windows.table["emotion"]
        assert grant.va.tolist() == [list(PLACES[word]) for word in words]
    bare = pretrain_finetune(three, source_labels=False)
    assert [(part.y, part.va) for part in bare.source_parts] == [(None, None)] * 2
    assert "source_plane" not in bare.grants
    with pytest.raises(AccessError, match="va_table"):
        bare.require(("source_plane",), "m", takes_several_shapes=True)


def test_the_plane_without_classes(three) -> None:
    # words that no class scheme of the target knows, of which a table knows one
    odd = three[0].with_column("emotion", np.where(three[0].table["emotion"] == "sad", "awe", "x"))
    access = pretrain_finetune(
        [odd, *three[1:]], source_labels="plane", va_table={"awe": (0.5, 1.0), **PLACES}
    )
    first, second = access.source_parts
    assert first.y is None
    assert len(first) == 72  # nothing is dropped for want of a class
    assert access.va_table["awe"] == (0.5, 1.0)  # the table is told, the words are not
    hidden = {*LABEL_COLUMNS, *STIMULUS_COLUMNS}
    assert not hidden & set(first.windows.table.columns)
    sad = (three[0].table["emotion"] == "sad").to_numpy()
    assert (first.va[sad] == [0.5, 1.0]).all()
    assert np.isnan(first.va[~sad]).all()
    assert second.has_plane
    assert access.grants[:2] == ("source_signals", "source_plane")
    access.require(("source_plane",), "m", takes_several_shapes=True)
    with pytest.raises(AccessError, match="source_labels"):
        access.require(("source_labels",), "m", takes_several_shapes=True)


def test_a_corpus_without_any_place_is_named(three) -> None:
    bare = three[0].with_table(three[0].table.assign(valence=np.nan, arousal=np.nan))
    with pytest.raises(LabelError, match=r"No trial of A has a place.*va_table"):
        pretrain_finetune([bare, *three[1:]], source_labels="plane")
    with pytest.raises(LabelError, match="No trial of A, B has a place.*the table"):
        pretrain_finetune(three, source_labels="plane", va_table={"awe": (0.0, 0.0)})
    with pytest.raises(ProtocolError, match="True, False and 'plane'"):
        pretrain_finetune(three, source_labels="va")
    # columns of one's own that are no plane are not granted as one
    own = three[0].with_table(three[0].table.assign(valence=7.0))
    assert not pretrain_finetune([own, *three[1:]]).source_parts[0].has_plane


def test_a_changed_place_changes_the_fingerprint(three) -> None:
    y = np.zeros(72, dtype=np.int64)
    va = plane_of(three[0].table)
    prints = {Grant(three[0], y).fingerprint, Grant(three[0], y, va).fingerprint}
    prints |= {Grant(three[0], y, va * 0.5).fingerprint, Grant(three[0], None, va).fingerprint}
    assert len(prints) == 4
    with pytest.raises(ConfigError, match=r"expected \(72, 2\)"):
        Grant(three[0], y, va[:5])
    whole = {
        pretrain_finetune(three, va_table=table).fingerprint("source")
        for table in (None, "emod", "warriner")
    }
    assert len(whole) == 2  # these columns are those of "emod"


# ----------------------------------------------------------------------------------- laziness


def test_lazy_rows_read_what_indexing_an_array_reads(tmp_path: Path) -> None:
    eager = signals("A", 5, 128, 96)
    lazy = mapped(eager, tmp_path / "a.npy")
    other = mapped(signals("D", 5, 128, 96), tmp_path / "d.npy")
    joined = Windows.concatenate([lazy.select(lazy.table["trial"] != 2), other])
    expected = np.concatenate([eager.x[(eager.table["trial"] != 2).to_numpy()], other.x])
    rows = stored(joined)
    assert isinstance(rows, LazyRows)
    assert on_disk(joined)
    assert joined._x is None
    rng = np.random.default_rng(0)
    mixed = rng.integers(0, len(expected), 50)  # in any order, repeated, over both pieces
    assert np.array_equal(rows[mixed], expected[mixed])
    assert np.array_equal(rows[3:20:4], expected[3:20:4])
    assert np.array_equal(rows[-1], expected[-1])
    assert np.array_equal(rows[np.array([-1, 0, -3])], expected[[-1, 0, -3]])
    with pytest.raises(IndexError):
        rows[np.array([len(expected)])]
    assert np.array_equal(joined.batch(mixed), expected[mixed])
    assert np.array_equal(stored(joined.select(mixed)), expected[mixed])
    assert np.array_equal(np.asarray(rows.take(np.arange(10, 70))), expected[10:70])
    sent = pickle.dumps(joined.select(slice(50, 60)))
    assert len(sent) < 60_000  # paths and rows, no values: 10 windows take 19 kB, the files 276 kB
    assert np.array_equal(pickle.loads(sent).x, expected[50:60])
    assert np.array_equal(joined.x, expected)


def test_detached_windows_hold_nothing_else(tmp_path: Path) -> None:
    whole = signals("A", 5, 128, 96, file=tmp_path / "a.npy")
    run = detached(whole.select(slice(8, 20)))
    assert isinstance(run._base, np.memmap)
    assert run._base.shape[0] == len(run._full_table) == 12
    some = detached(whole.select([1, 5, 30]))
    assert isinstance(some._base, LazyRows)
    assert some._base.shape[0] == len(some._full_table) == 3
    assert np.array_equal(some.x, np.asarray(whole.x)[[1, 5, 30]])
    memory = signals("A", 5, 128, 96)
    assert detached(memory.select([1, 5])).x.base is None


def test_folds_on_disk_are_those_in_memory(three, tmp_path: Path) -> None:
    files = [mapped(part, tmp_path / f"{part.corpus}.npy") for part in three]
    dropped = [p.with_column("artefact", p.table["window"] == 1) for p in (*three, *files)]
    eager = make_folds(dropped[:3], "leave-one-corpus-out", target="C", classes=THREE)[0]
    lazy = make_folds(dropped[3:], "leave-one-corpus-out", target="C", classes=THREE)[0]
    assert [len(p) for p in lazy.access.source_parts] == [54, 54]
    assert all(isinstance(p.windows._base, LazyRows) for p in lazy.access.source_parts)
    assert lazy.access.fingerprint("source") == eager.access.fingerprint("source")
    for role in ("source", "test"):
        pd.testing.assert_frame_equal(lazy.tables[role], eager.tables[role])
    audit = lazy.audit()
    assert audit.passed
    reach = next(check for check in audit.checks if check.name == "reach")
    assert "36 others in these stay unread" in reach.detail  # 18 artefacts of each source
    assert next(c for c in eager.audit().checks if c.name == "reach").passed


def test_corpora_of_one_shape_are_joined_on_disk(three, tmp_path: Path) -> None:
    more = [three[0], signals("D", 5, 128, 96), signals("C", 5, 128, 96)]
    files = [mapped(part, tmp_path / f"{part.corpus}.npy") for part in more]
    eager, lazy = (pretrain_finetune(parts, scaling="none") for parts in (more, files))
    assert isinstance(lazy.source.windows._base, LazyRows)
    assert lazy.source.windows._x is None
    assert all(isinstance(part.windows._base, np.memmap) for part in lazy.source_parts)
    assert lazy.fingerprint("source") == eager.fingerprint("source")
    assert [p.fingerprint for p in lazy.source_parts] == [p.fingerprint for p in eager.source_parts]


def test_nothing_reads_a_whole_corpus_into_memory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(identity, "_BLOCK_BYTES", 1_000_000)
    monkeypatch.setattr(likeness, "_BLOCK_VALUES", 100_000)
    size = {"n_subjects": 3, "n_trials": 12, "n_windows": 8}
    parts = [
        signals(name, n, 128, 500, file=tmp_path / f"{name}.npy", **size)
        for name, n in (("A", 12), ("B", 16), ("C", 14))
    ]
    parts = [part.with_column("artefact", part.table["window"] == 3) for part in parts]
    n_bytes = sum(4 * int(np.prod(part.shape)) for part in parts)
    assert n_bytes > 20e6
    tracemalloc.start()
    try:
        fold = make_folds(
            parts, "pretrain-finetune", target="C", split="subjects:1/1/1", classes=THREE,
            source_labels="plane", selection="validation",
        )[0]  # fmt: skip
        assert fold.audit().passed
        assert fold.access.fingerprint("source")
        assert fold.access.fingerprint("calibration")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < n_bytes / 2, f"{peak / 1e6:.1f} MB of {n_bytes / 1e6:.1f} MB"
    for grant in (*fold.access.source_parts, fold.access.calibration, fold.access.validation):
        assert grant.windows._x is None
    assert fold.test._x is None


def test_rows_of_files_are_hashed_once(tmp_path: Path, monkeypatch) -> None:
    eager = signals("A", 5, 128, 96)
    lazy = mapped(eager, tmp_path / "a.npy")
    other = mapped(signals("D", 5, 128, 96), tmp_path / "d.npy")
    expected = identity.content_hashes(eager.x)
    read = []

    def counted(x):
        read.append(len(x))
        return identity.content_hashes(x)

    monkeypatch.setattr(contents, "content_hashes", counted)
    some = detached(lazy.select([3, 50, 7, 3]))
    assert np.array_equal(contents.contents_of(some), expected[[3, 50, 7, 3]])
    run = detached(lazy.select(slice(40, 60)))  # a map of its own, of the same file
    assert np.array_equal(contents.contents_of(run), expected[40:60])
    assert np.array_equal(contents.contents_of(lazy), expected)
    joined = Windows.concatenate([run, other])
    assert np.array_equal(contents.contents_of(joined)[:20], expected[40:60])
    assert read == [3, 19, 50, 72]
    assert np.array_equal(contents.contents_of(eager.select([1, 2])), expected[[1, 2]])
    # a file that changed is another one
    changed = mapped(eager.with_x(np.asarray(eager.x) + 1), tmp_path / "a.npy")
    assert not np.isin(contents.contents_of(changed), expected).any()
