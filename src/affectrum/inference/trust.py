"""How far to trust a prediction on a recording, said in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["assess_trust"]

# By construction 1 % of windows of people like the training people lie beyond the limit; five
# times that is hardly chance any more, and beyond a half most answers are extrapolations. The
# project's choice.
_SOME_NOVEL, _MOST_NOVEL = 0.05, 0.5
# Shift of the recording's mean features in standard deviations of the training windows.
_LARGE_SHIFT = 2.0
_MANY_ARTEFACTS = 0.3
# Fewer people than this say little about how far people differ; the project's choice.
_FEW_PEOPLE = 10


def assess_trust(
    *,
    simulated: bool,
    coverage: float,
    interpolated: Sequence[str],
    novel_share: float,
    shift: float,
    artefact_share: float,
    scaling: str,
    n_classes: int,
    n_people: int | None,
    made_up: Sequence[str],
    score: Mapping[str, Any] | None,
) -> tuple[str, str]:
    """Judge one prediction.

    Parameters
    ----------
    simulated : bool
        Whether the model was trained on simulated data.
    coverage : float
        Share of the model's electrodes that were measured.
    interpolated : sequence of str
        Those that were not.
    novel_share : float
        Share of windows unlike training; NaN where not known.
    shift : float
        Median over features of |recording's mean - training mean| in training standard
        deviations, before any scaling of the recording by itself; NaN where not known.
    artefact_share : float
        Share of windows marked as artefact.
    scaling : str
        How the recording was scaled, for the sentence about relative readings.
    n_classes : int
        Number of classes, for chance.
    n_people : int or None
        Training people from whom the range of training windows was measured.
    made_up : sequence of str
        Electrodes of the model that some training corpus lacked and that were interpolated there.
    score : mapping or None
        A score of this model on unseen people: ``{"balanced_accuracy": ..., "protocol": ...}``.

    Returns
    -------
    level : {"demonstration only", "low", "limited"}
    text : str
        One point per line.
    """
    lines: list[str] = []
    low = False
    if simulated:
        lines.append(
            "The model was trained on SIMULATED data. Its output shows that the program works; it "
            "says nothing about anyone's emotion."
        )
    if coverage < 1.0:
        low = low or coverage < 0.9
        lines.append(
            f"{coverage:.0%} of the model's electrodes were measured; "
            f"{', '.join(interpolated)} were interpolated from their neighbours."
        )
    if made_up:
        low = True
        lines.append(
            f"In training, {', '.join(made_up)} had not been recorded in every corpus and were "
            "interpolated: the model never saw such electrodes as they really are."
        )
    if math.isnan(novel_share):
        lines.append("The bundle has no training statistics, so unlike recordings go unnoticed.")
    elif novel_share > _MOST_NOVEL:
        low = True
        lines.append(
            f"{novel_share:.0%} of the windows lie outside the range of the training windows (1% "
            "is expected): most of this is extrapolation."
        )
    elif novel_share > _SOME_NOVEL:
        low = True
        lines.append(
            f"{novel_share:.0%} of the windows lie outside the range of the training windows (1% "
            "is expected); those are shaded in the figure."
        )
    else:
        lines.append(
            f"{novel_share:.0%} of the windows lie outside the range of the training windows, "
            "about as many as for people like those trained on."
        )
    if n_people is not None and n_people < _FEW_PEOPLE and not math.isnan(novel_share):
        lines.append(
            f"That range was measured on {n_people} training people only, so it is too wide or too "
            "narrow by chance."
        )
    if not math.isnan(shift) and shift > _LARGE_SHIFT:
        low = True
        lines.append(
            f"Before scaling, the features of this recording differ from training by {shift:.1f} "
            "standard deviations (median over features): another amplifier, reference, unit or "
            "person."
        )
    if artefact_share > _MANY_ARTEFACTS:
        low = True
        lines.append(f"{artefact_share:.0%} of the windows are marked as artefact.")
    if scaling in ("recording", "first-minute"):
        lines.append(
            "Features were scaled by this recording's own statistics: readings are relative to "
            "its own average"
            + (" over the first minute" if scaling == "first-minute" else "")
            + ", so two recordings can't be compared by their means."
        )
    if score and score.get("balanced_accuracy") is not None:
        lines.append(
            f"On unseen people this model reached a balanced accuracy of "
            f"{float(score['balanced_accuracy']):.2f} (chance {1 / n_classes:.2f}) under "
            f"{score.get('protocol', 'an unnamed protocol')}."
        )
    else:
        lines.append(
            f"How well this model does on unseen people is not recorded in the bundle (chance is "
            f"{1 / n_classes:.2f}); across people and laboratories expect little above chance, and "
            "less certainty than the probabilities show."
        )
    level = "demonstration only" if simulated else "low" if low else "limited"
    return level, "\n".join(lines)
