"""What a cell saw, in the words of its table."""

from __future__ import annotations

import pytest

from affectrum.benchmark.table import describe_access

SOURCE = ["source_signals", "source_labels"]
CALIBRATION = ["calibration_signals", "calibration_labels"]


def meta(base, used, fold=None, **more):
    return {
        "base": base,
        "protocol": base,
        "used": used,
        "arm": None,
        "source": ["SEED"],
        "source_classes": None,
        "calibration_trials": 9,
        "scaling": "source",
        "selection": "last",
        "folds": [fold or {}],
        **more,
    }


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            meta("cross-corpus/calibrated", [*SOURCE, *CALIBRATION]),
            "labelled source + the subject's first 9 trials, labelled",
        ),
        (
            meta("few-shot", [*SOURCE, *CALIBRATION], {"shots": 3}, source=[]),
            "labelled other subjects + 3 labelled windows a class of the subject's first 9 trials",
        ),
        (
            meta(
                "pretrain-finetune", ["source_signals", *CALIBRATION], {"split": "subjects:2/1/1"}
            ),
            "unlabelled source + the target's training part of subjects:2/1/1, labelled",
        ),
        (
            meta("pretrain-finetune", ["source_signals", "source_plane", *CALIBRATION]),
            "source with valence and arousal + the subject's first 9 trials, labelled",
        ),
        (
            meta(
                "cross-corpus/unsupervised",
                [*SOURCE, "target_unlabelled"],
                {"target_use": "others"},
            ),
            "labelled source + unlabelled signals of other target subjects",
        ),
        (
            meta(
                "cross-corpus/unsupervised",
                [*SOURCE, "target_unlabelled"],
                {"target_use": "calibration"},
            ),
            "labelled source + unlabelled signals of the subject's first 9 trials",
        ),
        (
            meta(
                "cross-corpus/unsupervised",
                [*SOURCE, "target_unlabelled"],
                {"target_use": "test"},
                protocol="cross-corpus/unsupervised (transductive)",
            ),
            "labelled source + the unlabelled test signals",
        ),
        (
            meta(
                "cross-corpus/zero-shot",
                SOURCE,
                protocol="cross-corpus/zero-shot (transductive)",
                scaling="per-subject",
            ),
            "labelled source + test signals (scaling)",
        ),
    ],
)
def test_what_was_seen(told, words):
    assert describe_access(told) == words
