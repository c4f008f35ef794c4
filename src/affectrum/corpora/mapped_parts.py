"""The form of a mapping of plain recordings: where files lie and where their ratings stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from affectrum.corpora.bids_parts import Facts, Part
from affectrum.errors import ConfigError

__all__ = ["RecordingsMapping", "Table", "load_recordings_mapping", "pattern_of"]

_MAX_BYTES: Final = 1 << 20
_PLACES: Final = ("subject", "session", "trial")


def pattern_of(text: str) -> re.Pattern[str]:
    """Return a pattern for paths such as ``"{subject}/{trial}.edf"``.

    Parameters
    ----------
    text : str
        A path below the folder; ``{subject}``, ``{session}`` and ``{trial}`` stand for labels and
        ``*`` for anything, all without a slash.

    Returns
    -------
    Pattern
        With a group for each label.

    Raises
    ------
    ValueError
        If a label is unknown or occurs twice.
    """
    out = ""
    for piece in re.split(r"(\{\w*\}|\*)", text):
        if piece == "*":
            out += "[^/]*"
        elif piece.startswith("{") and piece.endswith("}"):
            name = piece[1:-1]
            if name not in _PLACES or f"(?P<{name}>" in out:
                raise ValueError(
                    f"{text!r}: {piece} is unknown or occurs twice; known are "
                    + ", ".join(f"{{{known}}}" for known in _PLACES)
                )
            out += rf"(?P<{name}>[^/]+?)"
        else:
            out += re.escape(piece)
    return re.compile(out)


class Table(Part):
    """A table (.csv, .tsv or .xlsx saved as .csv) with one row per trial.

    Parameters
    ----------
    file : str
        Its path below the folder; with ``{subject}`` (or ``{session}``) there is one each.
    trial : str
        Column with the trial's number.
    subject, session : str or None
        Columns with the labels, where one table holds several.
    valence, arousal, dominance : str or None
        Columns with ratings.
    scale : (float, float)
        Lowest and highest rating.
    emotion, clip : str or None
        Columns with the emotion word and with the stimulus's name.
    onset_s, duration_s : str or None
        Columns with begin and length of each trial in its recording, in seconds, where one
        recording holds several trials.
    """

    file: str
    trial: str = "trial"
    subject: str | None = None
    session: str | None = None
    valence: str | None = "valence"
    arousal: str | None = "arousal"
    dominance: str | None = None
    scale: tuple[float, float] = (1.0, 9.0)
    emotion: str | None = None
    clip: str | None = None
    onset_s: str | None = None
    duration_s: str | None = None

    @field_validator("file")
    @classmethod
    def _is_pattern(cls, text: str) -> str:
        pattern_of(text)
        return text

    @model_validator(mode="after")
    def _agree(self) -> Table:
        if not self.scale[0] < self.scale[1]:
            raise ValueError(f"scale {self.scale}: the first must be the lower one")
        if (self.onset_s is None) != (self.duration_s is None):
            raise ValueError("onset_s and duration_s belong together")
        return self


class RecordingsMapping(Part):
    """A mapping of a folder of recordings, see `affectrum.corpora.mapped`.

    Parameters
    ----------
    version : int
        Of the form of mappings.
    corpus : str
        Name in trial tables.
    recordings : str
        Path of the recordings below the folder, such as ``"{subject}/{trial}.edf"``; without
        ``{trial}`` a recording holds several trials, whose times stand in the table.
    table : Table or None
        Where ratings, words, clips and times stand.
    electrodes : tuple of str
        Electrodes to read, in the order wanted; all scalp electrodes of the first recording if
        empty.
    channels : tuple of str
        Names of the recordings' channels in file order, where the files name none.
    sfreq : float or None
        Sampling rate in Hz, where the files tell none.
    volts_per_unit : float
        Factor for files whose unit is not what their format says: 1e-6 for microvolts that are
        taken for volts.
    in_order : bool
        Whether the trial's number is its place in the order of presentation.
    facts : Facts
        Title, licence and so on.
    """

    version: Literal[1] = 1
    corpus: str = Field(min_length=1)
    recordings: str
    table: Table | None = None
    electrodes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    sfreq: float | None = Field(default=None, gt=0)
    volts_per_unit: float = Field(default=1.0, gt=0)
    in_order: bool = False
    facts: Facts = Facts()

    @model_validator(mode="after")
    def _agree(self) -> RecordingsMapping:
        names = pattern_of(self.recordings).groupindex
        if "subject" not in names:
            raise ValueError(f"recordings: {self.recordings!r} needs {{subject}}")
        timed = self.table is not None and self.table.onset_s is not None
        if "trial" not in names and not timed:
            raise ValueError(
                f"recordings: {self.recordings!r} has no {{trial}}, so table.onset_s and "
                "table.duration_s have to say where trials lie"
            )
        return self


def load_recordings_mapping(path: str | Path) -> RecordingsMapping:
    """Read a mapping.

    Parameters
    ----------
    path : path
        A YAML file.

    Returns
    -------
    RecordingsMapping

    Raises
    ------
    ConfigError
        If it can't be read, or holds what is not allowed; every fault is named with its place.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path}: larger than {_MAX_BYTES} bytes; no mapping is.")
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: the mapping can't be read ({error}).") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected names and values, received {content!r:.200}.")
    try:
        return RecordingsMapping(**content)
    except (ValidationError, TypeError) as error:
        faults = error.errors() if isinstance(error, ValidationError) else []
        lines = [f"  - {'.'.join(map(str, f['loc'])) or 'mapping'}: {f['msg']}" for f in faults]
        told = "\n".join([f"{path} is no valid mapping:", *(lines or [f"  - {error}"])])
        raise ConfigError(told) from None
