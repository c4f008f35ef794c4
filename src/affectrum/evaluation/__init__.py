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
from affectrum.evaluation.components import score_components, variance_components
from affectrum.evaluation.conformal import (
    ConformalSets,
    conformal_across_subjects,
    conformal_sets,
    conformal_threshold,
)
from affectrum.evaluation.crossed import (
    CrossedError,
    SharedCounts,
    crossed_error,
    replicate_scores,
    shared_counts,
    subject_scores,
)
from affectrum.evaluation.effects import (
    cliffs_delta,
    cohens_d_interval,
    paired_cohens_d,
    paired_dominance,
)
from affectrum.evaluation.heldout import HeldOut, Tempered, conformal_held_out, temper
from affectrum.evaluation.intervals import Interval, crossed_bootstrap, crossed_confusions
from affectrum.evaluation.nulls import Null, null_of
from affectrum.evaluation.optimism import learning_curve, optimism_gap
from affectrum.evaluation.pairs import compare_predictions
from affectrum.evaluation.power import detectable_difference, detection_power
from affectrum.evaluation.predictions import Predictions, score_predictions
from affectrum.evaluation.ranks import (
    CriticalDifference,
    Friedman,
    critical_difference,
    friedman_test,
    rank_intervals,
)
from affectrum.evaluation.ratings import (
    RATING_METRICS,
    concordance,
    rating_interval,
    rating_metrics,
    score_ratings,
)
from affectrum.evaluation.reliability import (
    calibration,
    honest_ece,
    reliability_curve,
    subject_calibration,
)
from affectrum.evaluation.summary import cautions, summarise

__all__ = [
    "METRICS",
    "RATING_METRICS",
    "Chance",
    "ConformalSets",
    "CriticalDifference",
    "CrossedError",
    "Friedman",
    "HeldOut",
    "Interval",
    "Null",
    "PairedTest",
    "Predictions",
    "SharedCounts",
    "Tempered",
    "calibration",
    "cautions",
    "chance_level",
    "cliffs_delta",
    "cohens_d_interval",
    "compare_methods",
    "compare_predictions",
    "concordance",
    "conformal_across_subjects",
    "conformal_held_out",
    "conformal_sets",
    "conformal_threshold",
    "confusion_matrix",
    "critical_difference",
    "crossed_bootstrap",
    "crossed_confusions",
    "crossed_error",
    "detectable_difference",
    "detection_power",
    "friedman_test",
    "holm",
    "honest_ece",
    "learning_curve",
    "metrics",
    "metrics_from_confusion",
    "null_of",
    "optimism_gap",
    "paired_cohens_d",
    "paired_dominance",
    "paired_permutation_test",
    "rank_intervals",
    "rating_interval",
    "rating_metrics",
    "reliability_curve",
    "replicate_scores",
    "score_components",
    "score_predictions",
    "score_ratings",
    "shared_counts",
    "subject_calibration",
    "subject_scores",
    "summarise",
    "temper",
    "variance_components",
]
