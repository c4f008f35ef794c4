"""Scores and statistics from stored predictions: nothing here trains or fits a model.

Subjects share clips and training sets, so they are not independent: intervals treat subject and
clip as crossed random factors.
"""

from __future__ import annotations

from affectrum.evaluation.chance import Chance, chance_level
from affectrum.evaluation.classification import (
    METRICS,
    confusion_matrix,
    metrics,
    metrics_from_confusion,
)
from affectrum.evaluation.comparison import (
    PairedTest,
    compare_methods,
    holm,
    paired_permutation_test,
)
from affectrum.evaluation.intervals import Interval, crossed_bootstrap, crossed_confusions
from affectrum.evaluation.optimism import learning_curve, optimism_gap
from affectrum.evaluation.predictions import Predictions, score_predictions
from affectrum.evaluation.reliability import calibration, reliability_curve
from affectrum.evaluation.summary import cautions, summarise

__all__ = [
    "METRICS",
    "Chance",
    "Interval",
    "PairedTest",
    "Predictions",
    "calibration",
    "cautions",
    "chance_level",
    "compare_methods",
    "confusion_matrix",
    "crossed_bootstrap",
    "crossed_confusions",
    "holm",
    "learning_curve",
    "metrics",
    "metrics_from_confusion",
    "optimism_gap",
    "paired_permutation_test",
    "reliability_curve",
    "score_predictions",
    "summarise",
]
