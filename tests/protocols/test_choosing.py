"""Which corpora train, and which labels are read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import affectrum as af
from affectrum.affect import get_scheme
from affectrum.errors import LabelError, ProtocolError
from affectrum.protocols import make_folds, plan_folds, truth
from affectrum.protocols.choosing import choose_corpora, lab_of, targets_of
from affectrum.protocols.labelling import choose_labels

THREE = ["positive", "negative", "neutral"] * 3


@pytest.fixture
def parts(make):
    names = ("SEED", "SEED-IV", "FACED", "own")
    return [make(name, emotions=THREE, n_windows=2, n_subjects=2) for name in names]


def chosen(parts, base, **options):
    options = {"source": None, "target": None, **options}
    target, sources = choose_corpora(parts, base, **options)
    return target.corpus, [part.corpus for part in sources]


def test_all_corpora_but_one(parts):
    base = "leave-one-corpus-out/zero-shot"
    assert targets_of(parts, base, None, None) == ["SEED", "SEED-IV", "FACED", "own"]
    assert targets_of(parts, base, ["seed", "seed_iv"], None) == ["FACED", "own"]
    assert targets_of(parts, base, None, "FACED") == ["FACED"]
    assert targets_of(parts, "leave-one-subject-out", None, None) == [None]
    assert chosen(parts, base, target="faced") == ("FACED", ["SEED", "SEED-IV", "own"])
    assert chosen(parts, base, target="own", source=["SEED", "FACED"]) == ("own", ["SEED", "FACED"])


def test_all_labs_but_one(parts):
    base = "leave-one-lab-out/zero-shot"
    labs = {"own": "here"}
    assert chosen(parts, base, target="SEED", labs=labs) == ("SEED", ["FACED", "own"])
    assert chosen(parts, base, target="SEED-IV", labs=labs) == ("SEED-IV", ["FACED", "own"])
    assert chosen(parts, base, target="own", labs=labs) == ("own", ["SEED", "SEED-IV", "FACED"])
    # what the user says wins
    labs = {"own": "here", "faced": "BCMI, Shanghai Jiao Tong University"}
    assert chosen(parts, base, target="SEED", labs=labs) == ("SEED", ["own"])


def test_the_catalogue_knows_labs():
    assert lab_of("SEED") == lab_of("seed_vii") == lab_of("SEED-FRA") is not None
    assert lab_of("FACED") == lab_of("THU-EP") != lab_of("SEED")
    assert lab_of("own") is None
    assert lab_of("own", {"OWN": "here"}) == "here"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "SEED"}, r"lab of every corpus.*for own\. Say it by labs=\{'own'"),
        ({"target": "SEED", "labs": {"own": "x", "OVN": "y"}}, "labs names OVN"),
        (
            {"target": "SEED", "source": "SEED-IV", "labs": {"own": "x"}},
            r"SEED-IV can't train .* same lab \(BCMI",
        ),
        (
            {"target": "own", "labs": dict.fromkeys(["SEED", "SEED-IV", "FACED", "own"], "x")},
            "finds no corpus to train on: all corpora given .* come from one lab, x",
        ),
        ({"source": ["SEED", "seed"], "target": "FACED", "labs": {"own": "x"}}, "twice"),
    ],
)
def test_refusals_of_labs(parts, options, message):
    with pytest.raises(ProtocolError, match=message):
        chosen(parts, "leave-one-lab-out/calibrated", **options)


def test_refusals_of_corpora(parts):
    base = "leave-one-corpus-out/calibrated"
    with pytest.raises(ProtocolError, match="SEED can't train .*: it is the tested one"):
        chosen(parts, base, target="SEED", source=["SEED", "FACED"])
    with pytest.raises(ProtocolError, match=r"at least three; .*'cross-corpus/calibrated'"):
        chosen(parts[:2], base, target="SEED")
    with pytest.raises(ProtocolError, match="Did you mean 'FACED'"):
        chosen(parts, base, target="FACE")
    with pytest.raises(ProtocolError, match="may be given once"):
        targets_of([*parts, parts[0]], base, None, None)
    with pytest.raises(ProtocolError, match=r"subjects=\[1\] are those of one target"):
        plan_folds(parts, base, subjects=[1])


def test_pretraining_takes_any_number_of_corpora(parts):
    base = "pretrain-finetune"
    assert chosen(parts, base, target="SEED") == ("SEED", ["SEED-IV", "FACED", "own"])
    assert chosen(parts, base, target="SEED", source="own") == ("SEED", ["own"])
    assert chosen(parts[:1], base) == ("SEED", [])
    assert chosen(parts, base, target="SEED", source=[]) == ("SEED", [])


def test_shots_learn_from_the_target_unless_a_source_is_named(parts):
    assert chosen(parts, "few-shot", target="SEED") == ("SEED", [])
    assert chosen(parts, "few-shot", target="SEED", source="own") == ("SEED", ["own"])
    with pytest.raises(ProtocolError, match=r"needs source=\.\.\. and target="):
        chosen(parts, "few-shot")


def test_every_source_that_lacks_the_classes_is_named(make):
    parts = [make("SEED", emotions=THREE), make("DEAP"), make("own", emotions=["awe", "calm"] * 3)]
    with pytest.raises(LabelError) as caught:
        make_folds(parts, "leave-one-corpus-out/zero-shot", target="SEED", classes="valence3")
    assert "  - DEAP: " in str(caught.value)
    assert "  - own: " in str(caught.value)
    assert "leave them out of source" in str(caught.value)


# ------------------------------------------------------------------------------- labels

# Six trials each of two people. FACED's clips have words, and people rated valence on 0..7.
WORDS = ["joy", "sadness", "joy", "sadness", "joy", "sadness"]
RATED = {1: [6.0, 1.0, 2.0, 5.0, 6.5, 0.5], 2: [6.0, 6.0, 1.0, 1.0, 5.0, 2.0]}


def faced(corpus="FACED", rated=True):
    table = pd.DataFrame(
        {
            "corpus": corpus,
            "subject": subject,
            "session": 1,
            "row": trial + 1,
            "trial": trial + 1,
            "clip": f"{corpus}/{trial}",
            "emotion": word,
            "rating_valence": RATED[subject][trial] if rated else np.nan,
            "window": 0,
            "start_s": 0.0,
        }
        for subject in (1, 2)
        for trial, word in enumerate(WORDS)
    )
    x = np.random.default_rng(len(corpus)).normal(size=(len(table), 2, 3))
    return af.Windows.from_arrays(x, table, sfreq=None, channels=["Fz", "Cz"], recipe="ours")


BY_CLIP = [1, 0, 1, 0, 1, 0]
BY_REPORT = {1: [1, 0, 0, 1, 1, 0], 2: [1, 1, 0, 0, 1, 0]}


def y_of(windows, labels, **options):
    folds = make_folds(windows, "loso", classes="valence2", labels=labels, **options)
    return folds, [truth(windows, fold).tolist() for fold in folds]


def test_labels_of_the_clip_and_of_the_subject():
    assert get_scheme("valence2").classes.index("positive") == 1
    windows = faced()
    folds, y = y_of(windows, "clip")
    assert y == [BY_CLIP, BY_CLIP]
    assert folds[0].protocol == "leave-one-subject-out (clip labels)"
    folds, y = y_of(windows, "self-report")
    assert y == [BY_REPORT[1], BY_REPORT[2]]
    assert folds[0].protocol == "leave-one-subject-out (self-report labels)"
    assert folds[0].access.source.y.tolist() == BY_REPORT[2]
    assert folds[0].to_dict()["labels"] == "self-report"
    assert folds[0].audit().passed
    # without a word, what puts the corpus on the plane: FACED's clips have words
    folds, y = y_of(windows, None)
    assert y == [BY_CLIP, BY_CLIP]
    assert folds[0].protocol == "leave-one-subject-out"


def test_a_subject_without_ratings_is_dropped_not_labelled_by_the_clip():
    windows = faced()
    ratings = windows.table["rating_valence"].where(windows.table["subject"] == 1)
    windows = windows.with_column("rating_valence", ratings.to_numpy())
    scheme = choose_labels(
        get_scheme("valence2"), "self-report", {"FACED": windows.trials()}, "FACED"
    )
    trials = windows.trials()
    assert scheme.assign(trials, "FACED").tolist() == [*BY_REPORT[1], *[-1] * 6]
    part = trials[trials["subject"] == 2].reset_index(drop=True)
    assert scheme.assign(part, "FACED").tolist() == [-1] * 6


def test_a_source_with_one_kind_keeps_it(make):
    windows = [faced(), make("SEED", emotions=THREE, shape=(2, 3), recipe="ours")]
    windows[1] = af.Windows.from_arrays(
        windows[1].x, windows[1].table, sfreq=None, channels=["Fz", "Cz"], recipe="ours"
    )
    fold = make_folds(
        windows, "zero-shot", target="FACED", classes="valence2", labels="self-report"
    )[0]
    assert truth(windows, fold).tolist() == BY_REPORT[1]
    # SEED's neutral trials are in neither class
    assert np.bincount(fold.access.source.y).tolist() == [27, 27]
    assert any("valence2, self-report labels" in note for note in fold.notes)


@pytest.mark.parametrize(
    ("windows", "options", "message"),
    [
        (faced("FACED", rated=False), {}, "FACED has no self-report labels"),
        (faced("SEED"), {}, "no self-report"),
        (faced(), {"labels": "felt"}, "'labels': 'felt'"),
        (faced(), {"classes": ["joy", "sadness"]}, "a class scheme by name"),
        (faced(), {"classes": "valence2(labels=ratings)"}, "both choose the labels"),
    ],
)
def test_refusals_of_labels(windows, options, message):
    options = {"labels": "self-report", "classes": "valence2", **options}
    if windows.corpus == "SEED":
        words = ["positive" if word == "joy" else "negative" for word in windows.table["emotion"]]
        windows = windows.with_column("emotion", words)
    with pytest.raises(ProtocolError, match=message):
        make_folds(windows, "loso", **options)
