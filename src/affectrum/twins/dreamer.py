"""The layout of DREAMER: one file, one variable, people in cells and arrays in cells of structs.

What the file does not say of the real corpus is chosen: cells are in the order of the clips, and
each electrode has an offset of its own near 4200 uV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import dreamer as facts
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.jobs import Job, Layout, to_file_values
from affectrum.twins.mat_struct_files import Node, cell, numbers, record, text, write_nested_mat
from affectrum.twins.seeds import derive_rng

__all__ = ["DEFAULT_FORMS", "FORMS", "jobs"]

FloatArray = NDArray[np.float64]

FORMS = ("mat",)
DEFAULT_FORMS = ("mat",)

_SESSION = 1
_OFFSET_UV = 4200.0
_OFFSET_SD_UV = 100.0  # between electrodes; chosen
_HEART_HZ = 1.2


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    # everybody is in the one file, so it is written anew when people are added
    yield Job(Path(facts.FILE), partial(_write, layout), small=True)


def _write(layout: Layout, path: Path) -> None:
    generator = layout.generator
    people = [_person(generator, subject) for subject in layout.subjects]
    electrodes = [text(name) for name in facts.ELECTRODES]
    n_clips = generator.facts.trials_per_session[0]
    variable = record(
        {
            "Data": cell((1, len(people)), people),
            "EEG_SamplingRate": _scalar(generator.facts.sfreq),
            "ECG_SamplingRate": _scalar(facts.ECG_SFREQ),
            "EEG_Electrodes": cell((1, len(electrodes)), electrodes),
            "noOfSubjects": _scalar(len(people)),
            "noOfVideoSequences": _scalar(n_clips),
            "Disclaimer": text("Simulated data: no person was recorded."),
            "Provider": text("Affectrum"),
            "Version": text("1.0"),
            "Acknowledgement": text("None: the data are simulated."),
        }
    )
    write_nested_mat(path, [("DREAMER", variable)], compress=layout.compress)


def _scalar(value: float) -> Node:
    return numbers((1, 1), lambda: np.array([[float(value)]]))


def _person(generator: TwinGenerator, subject: int) -> Node:
    rows = range(1, generator.facts.trials_per_session[0] + 1)
    sfreq, ecg_sfreq = round(generator.facts.sfreq), round(facts.ECG_SFREQ)
    rest = int(generator.facts.baseline_s)
    seconds = {row: generator.seconds(_SESSION, row) for row in rows}

    # baselines stand before all clips in the file, but are drawn together with them: the last few
    # clips are kept, those of one person fit
    @lru_cache(maxsize=len(rows))
    def whole(row: int) -> FloatArray:
        x = generator.trial(subject, _SESSION, row).x[:, :-1]
        return to_file_values((x + _offsets(generator, subject)).astype(np.float32)).T

    def eeg(row: int, start: int, stop: int) -> FloatArray:
        return whole(row)[start * sfreq : stop * sfreq]

    def cells(length: Callable[[int], int], rate: int, n: int, values: str) -> Node:
        children = []
        for row in rows:
            shape = (length(row) * rate, n)
            if values == "ecg":
                make = partial(_heart, generator, subject, row, shape)
            elif values == "baseline":
                make = partial(eeg, row, 0, rest)
            else:
                make = partial(eeg, row, rest, rest + seconds[row])
            children.append(numbers(shape, make))
        return cell((len(children), 1), children)

    n_electrodes = len(facts.ELECTRODES)
    rng = derive_rng(generator.seed, "card", generator.facts.name, subject)
    scores = _scores(generator, subject)
    return record(
        {
            "Age": _scalar(22 + int(rng.integers(12))),
            "Gender": text(("male", "female")[int(rng.integers(2))]),
            "EEG": record(
                {
                    "baseline": cells(lambda row: rest, sfreq, n_electrodes, "baseline"),
                    "stimuli": cells(lambda row: seconds[row], sfreq, n_electrodes, "stimuli"),
                }
            ),
            "ECG": record(
                {
                    "baseline": cells(lambda row: rest, ecg_sfreq, 2, "ecg"),
                    "stimuli": cells(lambda row: seconds[row], ecg_sfreq, 2, "ecg"),
                }
            ),
            **{
                f"Score{name.title()}": numbers((len(rows), 1), partial(_column, scores, position))
                for position, name in enumerate(("valence", "arousal", "dominance"))
            },
        }
    )


def _offsets(generator: TwinGenerator, subject: int) -> FloatArray:
    """Constant voltage of each electrode: shape (n_electrodes, 1)."""
    rng = derive_rng(generator.seed, "offset", generator.facts.name, subject)
    spread = rng.standard_normal((len(facts.ELECTRODES), 1))
    return np.asarray(_OFFSET_UV + _OFFSET_SD_UV * spread)


def _scores(generator: TwinGenerator, subject: int) -> FloatArray:
    """Whole numbers 1 to 5: shape (n_clips, 3), valence, arousal, dominance."""
    rows = range(1, generator.facts.trials_per_session[0] + 1)
    low, high = generator.facts.ratings["valence"]
    reported = np.array([generator.rating(subject, _SESSION, row).reported[:3] for row in rows])
    middle, half = (low + high) / 2, (high - low) / 2
    return np.asarray(np.clip(np.rint(middle + half * reported), low, high))


def _column(scores: FloatArray, position: int) -> FloatArray:
    return scores[:, position : position + 1]


def _heart(generator: TwinGenerator, subject: int, row: int, shape: tuple[int, int]) -> FloatArray:
    """Two leads of ECG in uV; plausible, not modelled: no method of the project reads them."""
    rng = derive_rng(generator.seed, "heart", generator.facts.name, subject, row, shape[0])
    t = np.arange(shape[0]) / facts.ECG_SFREQ
    beat = np.cos(np.pi * _HEART_HZ * t + rng.uniform(0.0, np.pi)) ** 40
    return np.asarray(np.rint(np.outer(beat, (900.0, 600.0)) + 10.0 * rng.standard_normal(shape)))
