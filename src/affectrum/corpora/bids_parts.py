"""The parts of a mapping of a BIDS data set, see `affectrum.corpora.bids_mapping`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from affectrum.corpora.units import VOLTS_PER

__all__ = [
    "NO_EEG",
    "SUFFIXES",
    "Array",
    "Behaviour",
    "Clips",
    "Emotion",
    "Events",
    "Facts",
    "Felt",
    "Files",
    "Part",
    "Rating",
    "Select",
    "Signal",
    "Stop",
]

SUFFIXES: Final = (".edf", ".bdf", ".vhdr", ".set", ".npy")
"""Recordings that can be read; ``.npy`` are arrays of trials."""

NO_EEG: Final = ("EOG", "HEOG", "VEOG", "ECG", "EMG", "GSR", "MISC", "TRIG", "REF")
"""Types of channels.tsv that are left out unless a mapping says otherwise."""

Source = Literal["events", "behaviour"]


class Part(BaseModel):
    """What all parts share: no unknown fields, no change afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _pattern(text: str, group: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as error:
        raise ValueError(f"no regular expression ({error})") from None
    if group not in groups:
        raise ValueError(f"needs a group (?P<{group}>...)")
    return text


class Files(Part):
    """Which files are read.

    Parameters
    ----------
    folder : str
        Folder below the data set, e.g. "derivatives"; empty for the data set itself.
    suffix : str
        The last part of a file's name before its ending.
    extensions : tuple of str
        Endings, the preferred one first.
    tasks, sessions : tuple of str
        Labels that are read, all if empty. The order of `sessions` is how they are numbered.
    runs : tuple of int
        Runs that are read, all if empty.
    subject : str
        Regular expression with a group ``number``, for the labels of subjects.
    first_subject : int
        The number of the label that counts as subject 1.
    run : str
        Regular expression with a group ``number``, searched in a file's name.
    """

    folder: str = ""
    suffix: str = "eeg"
    extensions: tuple[str, ...] = (".edf", ".bdf", ".vhdr", ".set")
    tasks: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    runs: tuple[int, ...] = ()
    subject: str = r"\D*(?P<number>\d+)"
    first_subject: int = 1
    run: str = r"_run-(?P<number>\d+)"

    @field_validator("folder")
    @classmethod
    def _inside(cls, value: str) -> str:
        if value.startswith(("/", "\\")) or ".." in Path(value).parts or ":" in value:
            raise ValueError("must be a folder inside the data set")
        return value

    @field_validator("extensions")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in value if name not in SUFFIXES]
        if wrong or not value:
            raise ValueError(f"allowed are {', '.join(SUFFIXES)}")
        return value

    @field_validator("subject", "run")
    @classmethod
    def _numbered(cls, value: str) -> str:
        return _pattern(value, "number")


class Select(Part):
    """Which rows of events are meant; exactly one way of saying it.

    Parameters
    ----------
    values : tuple of str or int
        Values of the column.
    codes : (int, int) or None
        First and last of a range of whole numbers.
    filled : str or None
        Name of another column: rows in which it has a value.
    """

    values: tuple[str | int, ...] = ()
    codes: tuple[int, int] | None = None
    filled: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Select:
        given = [name for name in ("values", "codes", "filled") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"give one of values, codes, filled; received {given or 'none'}")
        if self.codes is not None and self.codes[0] > self.codes[1]:
            raise ValueError("the first code is above the last")
        return self


class Stop(Part):
    """Where a trial ends: one of the first four, and never after `longest_s`.

    Parameters
    ----------
    events : Select or None
        At the first such event after the start.
    next_event : bool
        At the next event, whatever it is.
    duration_column : str or None
        After the seconds in this column of the start event.
    duration_s : float or None
        After so many seconds.
    longest_s : float or None
        No later than this many seconds after the start, and then where nothing else tells.
    """

    events: Select | None = None
    next_event: bool = False
    duration_column: str | None = None
    duration_s: float | None = Field(default=None, gt=0)
    longest_s: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_way(self) -> Stop:
        names = ("events", "next_event", "duration_column", "duration_s")
        given = [name for name in names if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(names)}; received {given or 'none'}")
        return self


class Events(Part):
    """How events.tsv becomes trials.

    Parameters
    ----------
    column : str
        Column in which `start` and `stop` look.
    onset : str
        Column of the times.
    onset_unit : {"seconds", "samples"}
        What the times count, whatever BIDS demands.
    onset_sfreq : float or None
        Samples per second of times in samples; None for the recording's own rate.
    start : Select
        The events that begin a trial.
    stop : Stop
        Where it ends.
    sessions : dict of str to str
        Value of the column at the start -> name of the session; then sessions are contexts of one
        recording, numbered in this order.
    rest_start, rest_stop : Select or None
        A stretch of rest that is recorded once; `read_rest` returns it.
    """

    column: str = "trial_type"
    onset: str = "onset"
    onset_unit: Literal["seconds", "samples"] = "seconds"
    onset_sfreq: float | None = Field(default=None, gt=0)
    start: Select
    stop: Stop
    sessions: dict[str, str] = Field(default={})
    rest_start: Select | None = None
    rest_stop: Select | None = None

    @model_validator(mode="after")
    def _agree(self) -> Events:
        if self.onset_unit == "seconds" and self.onset_sfreq is not None:
            raise ValueError("onset_sfreq is for times in samples")
        if (self.rest_start is None) != (self.rest_stop is None):
            raise ValueError("rest_start and rest_stop belong together")
        return self


class Array(Part):
    """Files that are arrays of trials of one length, (trial, channel, time).

    Parameters
    ----------
    sfreq : float
        Samples per second.
    n_samples : int or None
        Samples of a trial, to check the shape; None for any.
    most_trials : int or None
        The most trials that a file can have; None for any number.
    rows : tuple of str
        Clip of each row, where the files have this order; empty where it is not known.
    """

    sfreq: float = Field(gt=0)
    n_samples: int | None = Field(default=None, gt=0)
    most_trials: int | None = Field(default=None, gt=0)
    rows: tuple[str, ...] = ()


class Behaviour(Part):
    """A table beside the recording, one row per trial.

    Parameters
    ----------
    suffix : str
        The file's suffix.
    join : {"order", "key"}
        The k-th trial is the k-th row; or values of two columns agree.
    event_column, column : str or None
        These two columns, for "key".
    """

    suffix: str = "beh"
    join: Literal["order", "key"] = "order"
    event_column: str | None = None
    column: str | None = None

    @model_validator(mode="after")
    def _keyed(self) -> Behaviour:
        if (self.join == "key") != (self.event_column is not None and self.column is not None):
            raise ValueError("join: key needs event_column and column, join: order neither")
        return self


class Clips(Part):
    """Which clip was shown.

    Parameters
    ----------
    source : {"events", "behaviour"}
        The table of `column`.
    column : str or None
        The column.
    codes : (int, int) or None
        Instead of a column: an event with a code in this range stands beside each start.
    subtract : int
        Taken from the code.
    pattern : str
        Regular expression with a group ``clip`` that the whole value matches.
    catalogue_row : bool
        The value is the row of the clip in the catalogue's list of the corpus.
    film : str or None
        A column of the same table with the film's title.
    """

    source: Source = "events"
    column: str | None = None
    codes: tuple[int, int] | None = None
    subtract: int = 0
    pattern: str = r"(?P<clip>.+)"
    catalogue_row: bool = False
    film: str | None = None

    @field_validator("pattern")
    @classmethod
    def _grouped(cls, value: str) -> str:
        return _pattern(value, "clip")

    @model_validator(mode="after")
    def _one_way(self) -> Clips:
        if (self.column is None) == (self.codes is None):
            raise ValueError("give one of column, codes")
        return self


class Emotion(Part):
    """The emotion word of a trial.

    Parameters
    ----------
    source : {"events", "behaviour", "clip"}
        The table of `column`; "clip": the clip's name is looked up in `words`.
    column : str or None
        The column.
    words : dict of str to str
        The data set's value -> emotion word (lower case).
    """

    source: Literal["events", "behaviour", "clip"] = "events"
    column: str | None = None
    words: dict[str, str] = Field(default={})

    @model_validator(mode="after")
    def _column(self) -> Emotion:
        if (self.source == "clip") == (self.column is not None):
            raise ValueError("column is for events and behaviour, and needed there")
        return self


class Felt(Part):
    """The emotion that a person named.

    Parameters
    ----------
    source : {"events", "behaviour"}
        The table of `column`.
    column : str
        The column.
    pattern : str
        Regular expression with a group ``word`` that is searched in the cell; a trial with several
        words has none.
    words : dict of str to str
        The data set's word in lower case -> emotion word.
    """

    source: Source = "events"
    column: str
    pattern: str = r"(?P<word>.+)"
    words: dict[str, str]

    @field_validator("pattern")
    @classmethod
    def _grouped(cls, value: str) -> str:
        return _pattern(value, "word")


class Rating(Part):
    """One self-report.

    Parameters
    ----------
    scale : (float, float)
        Lowest and highest point.
    source : {"events", "behaviour"}
        The table of `column`.
    column : str or None
        The column.
    question : int or None
        Instead of a column: the code of the question among the events after the start.
    answers : (int, int) or None
        Codes of the answers to it; the first one is the lowest point, each next one a point more.
    """

    scale: tuple[float, float]
    source: Source = "events"
    column: str | None = None
    question: int | None = None
    answers: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Rating:
        if self.scale[0] >= self.scale[1]:
            raise ValueError("the lowest point of the scale is not below the highest")
        if (self.column is None) == (self.question is None):
            raise ValueError("give one of column, question")
        if (self.question is None) != (self.answers is None):
            raise ValueError("question and answers belong together")
        return self


class Signal(Part):
    """Electrodes and unit.

    Parameters
    ----------
    electrodes : tuple of str
        Names in the file, in the order in which they are read; empty for all scalp electrodes
        that every recording has, in the order of the first one.
    rename : dict of str to str
        Name in the file -> electrode, where the file's name is none of the 10-05 system.
    drop : tuple of str
        Names that are no EEG although they look like it.
    drop_types : tuple of str
        Types of channels.tsv that are no EEG.
    rows : tuple of str
        Electrodes of arrays, whose files name none.
    unit : str
        "auto" (header, else channels.tsv, else measured), "header", "channels.tsv", "measured", or
        a unit.
    reference : str or None
        Reference electrode, None for what the sidecar says.
    mains_hz : float or None
        Mains frequency, None for what the sidecar says.
    """

    electrodes: tuple[str, ...] = ()
    rename: dict[str, str] = Field(default={})
    drop: tuple[str, ...] = ()
    drop_types: tuple[str, ...] = (
        "EOG",
        "HEOG",
        "VEOG",
        "ECG",
        "EMG",
        "GSR",
        "MISC",
        "TRIG",
        "REF",
    )
    rows: tuple[str, ...] = ()
    unit: str = "auto"
    reference: str | None = None
    mains_hz: float | None = Field(default=None, gt=0)

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, value: str) -> str:
        allowed = ("auto", "header", "channels.tsv", "measured", *VOLTS_PER)
        if value not in allowed:
            raise ValueError(f"allowed are {', '.join(allowed)}")
        return value


class Facts(Part):
    """What to say of a data set that the catalogue does not know; all may be left out.

    Parameters
    ----------
    title, lab, summary, licence, citation, url : str
        As in `affectrum.catalog.CorpusFacts`; title and licence are read from the data set else.
    notes : tuple of str
        Traps, one sentence each.
    """

    title: str = ""
    lab: str = ""
    summary: str = ""
    licence: str = ""
    citation: str = ""
    url: str = ""
    notes: tuple[str, ...] = ()
