"""The controls of a score, by name: null controls and companions.

A score says how often a model was right, not why. Each control asks about one reason that has
nothing to do with emotion. Data only.
"""

from __future__ import annotations

from dataclasses import dataclass

from affectrum.errors import ConfigError, did_you_mean

__all__ = ["CONTROLS", "ControlInfo", "chosen_controls"]


@dataclass(frozen=True)
class ControlInfo:
    """One control.

    Attributes
    ----------
    name : str
        For a plan's field `controls`.
    title : str
        For tables and the card.
    asks : str
        The question in one sentence.
    per_method : bool
        True: the scored method itself is trained again, under changed data. False: another model,
        once for each task.
    method : str
        The model of controls that bring their own.
    probe : bool
        True: it is scored on other classes (clips, films), so that it has a chance level of its
        own.
    null : bool
        True: labels are permuted, as often as a plan's `permutations` says.
    """

    name: str
    title: str
    asks: str
    per_method: bool = False
    method: str = ""
    probe: bool = False
    null: bool = False


_ALL = (
    ControlInfo(
        "labels-by-trial",
        "null: labels permuted by trial",
        "what is left when each subject's trials get each other's labels, in training and test",
        per_method=True,
        null=True,
    ),
    ControlInfo(
        "labels-by-clip",
        "null: labels permuted by clip",
        "what is left when clips get each other's labels, alike for all subjects: a model that "
        "recognises the clip keeps its score",
        per_method=True,
        null=True,
    ),
    ControlInfo(
        "no-muscle",
        "without edge electrodes and above 20 Hz",
        "what is left without the electrodes near muscles and without bands that reach above 20 Hz",
        per_method=True,
    ),
    ControlInfo("chance", "most frequent class", "what guessing scores", method="most-frequent"),
    ControlInfo(
        "position",
        "trial position and time on task",
        "what knowing the order of trials and the time scores, without any signal",
        method="position",
    ),
    ControlInfo(
        "nearest-trial",
        "class of the nearest training trial in time",
        "what copying the label of the nearest training trial scores, without any signal",
        method="position",
    ),
    ControlInfo(
        "muscle-probe",
        "muscle activity (above 30 Hz at the edge)",
        "what the power above 30 Hz at the electrodes near muscles scores alone",
        method="svm",
    ),
    ControlInfo(
        "target-only",
        "linear SVM on the calibration trials alone",
        "what the very same calibration trials score without any source: does the source help?",
        method="svm",
    ),
    ControlInfo(
        "clip-probe",
        "which clip is it?",
        "how well the clip itself is recognised from training windows of the same clip",
        method="svm",
        probe=True,
    ),
    ControlInfo(
        "film-probe",
        "which film is it?",
        "how well the film is recognised from training windows of the same film",
        method="svm",
        probe=True,
    ),
)

#: Every control by its name, in the order of the card.
CONTROLS: dict[str, ControlInfo] = {info.name: info for info in _ALL}


def chosen_controls(wanted: bool | tuple[str, ...] | list[str]) -> tuple[ControlInfo, ...]:
    """Return the controls that a plan asks for.

    Parameters
    ----------
    wanted : bool or sequence of str
        True: all of them.

    Returns
    -------
    tuple of ControlInfo

    Raises
    ------
    ConfigError
        If a name is not known.
    """
    if isinstance(wanted, bool):
        return tuple(CONTROLS.values()) if wanted else ()
    unknown = [name for name in wanted if name not in CONTROLS]
    if unknown:
        raise ConfigError(
            f"Unknown controls {', '.join(map(repr, unknown))}; controls are "
            f"{', '.join(CONTROLS)}." + did_you_mean(unknown[0], CONTROLS)
        )
    return tuple(info for name, info in CONTROLS.items() if name in wanted)
