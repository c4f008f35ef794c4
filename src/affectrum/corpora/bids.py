"""Any BIDS data set of EEG, read by a mapping.

>>> import affectrum as af
>>> corpus = af.open_corpus("BIDS", "ds/", options={"mapping": "mine.yaml"})  # doctest: +SKIP

Without a mapping the check says what the data set holds and drafts one. Mappings are described in
`affectrum.corpora.bids_mapping`; some come with the package and can be named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from affectrum import catalog
from affectrum.catalog import Clip, CorpusFacts
from affectrum.corpora import bids_skeleton
from affectrum.corpora.base import Corpus
from affectrum.corpora.bids_arrays import array_headers, read_trial
from affectrum.corpora.bids_facts import complete_facts, first_facts
from affectrum.corpora.bids_files import (
    BidsFile,
    DataSet,
    find_data_set,
    natural,
    read_json,
    read_table,
)
from affectrum.corpora.bids_labels import Labels, Sequences, join_labels, read_sequences
from affectrum.corpora.bids_mapping import BidsMapping, load_mapping
from affectrum.corpora.bids_recordings import open_recording, read_header
from affectrum.corpora.bids_signals import Wiring, wire
from affectrum.corpora.bids_trials import Found, find_trials
from affectrum.corpora.folders import relative
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.errors import FileFormatError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BidsCorpus", "BidsOptions", "Place", "SequenceOptions"]

_AGAIN: Final = "Copy the file again from its source, or move it away to go on without."


class SequenceOptions(ReaderOptions):
    """What a data set may leave out.

    Parameters
    ----------
    sequences : str or None
        Table with the columns subject, session, trial and clip, for data sets whose files do not
        tell which clip was shown when.
    """

    sequences: str | None = None


class BidsOptions(SequenceOptions):
    """Options of "BIDS".

    Parameters
    ----------
    mapping : str or None
        A ready mapping's name, or a YAML file.
    sequences : str or None
        As in `SequenceOptions`.
    """

    mapping: str | None = None


@dataclass(frozen=True)
class Place:
    """Where a recording belongs.

    Parameters
    ----------
    file : BidsFile
        The recording.
    where : str
        Its path relative to the corpus folder.
    subject, session : int
        From 1.
    session_name : str or None
        The data set's name of the session.
    """

    file: BidsFile
    where: str
    subject: int
    session: int
    session_name: str | None


class BidsCorpus(Corpus):
    """Reader of BIDS data sets; see `Corpus`.

    ``read_rest`` returns the rest that the mapping names, recorded once in each recording.
    """

    name = "BIDS"
    forms: ClassVar[tuple[str, ...]] = ("bids",)
    signal_forms: ClassVar[tuple[str, ...]] = ("bids",)
    Options: ClassVar[type[ReaderOptions]] = BidsOptions
    mappings: ClassVar[dict[str, str]] = {}
    """Form -> ready mapping, for corpora of their own name."""

    def __init__(self, folder: str | Path, **further: Any) -> None:
        self._wirings: dict[str, Wiring] = {}
        self._rests: dict[str, tuple[int, int]] = {}
        super().__init__(folder, **further)
        if self.name == "BIDS" and self._headers:
            self.name = self.facts.name  # type: ignore[misc]

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        root = find_data_set(folder)
        return {} if root is None else {"bids": root}

    def _find_facts(self) -> CorpusFacts:
        if self.mappings:
            return catalog.get(self.name)
        given = getattr(self.options, "mapping", None)
        mapping = None if given is None else load_mapping(given)
        root = find_data_set(self.folder) if self.folder.is_dir() else None
        description: dict[str, Any] = {}
        if root is not None:
            try:
                description = read_json(root / "dataset_description.json")
            except FileFormatError:
                description = {}
        return first_facts(mapping, description)

    def _mapping(self) -> BidsMapping | None:
        ready = self.mappings.get(self.form)
        if ready is not None:
            return load_mapping(ready)
        given = getattr(self.options, "mapping", None)
        return None if given is None else load_mapping(given)

    # trials

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        mapping = self._mapping()
        data_set = DataSet(root, "" if mapping is None else mapping.files.folder)
        if mapping is None:
            log.error(
                relative(root, self.folder),
                bids_skeleton.explain(data_set),
                bids_skeleton.how_to(data_set),
            )
            return []
        self.mapping, self._data_set = mapping, data_set
        sequences: Sequences = {}
        chosen = getattr(self.options, "sequences", None)
        if chosen is not None:
            sequences = read_sequences(Path(chosen))
        places = self._places(data_set, mapping, log)
        if mapping.array is not None:
            self.channels = mapping.signal.rows
            headers, wirings = array_headers(mapping, places, self.simulated, self._cache, log)
            self._wirings |= wirings
            headers = [self._labelled_row(header, sequences) for header in headers]
        else:
            headers = self._recordings(data_set, mapping, places, sequences, log)
        self._count_unknown(headers, log)
        if headers and not catalog.is_known(mapping.corpus):
            first = places[0].file
            self.facts = complete_facts(
                self.facts, headers, self.channels, self.channels, self._sidecar(first, log)
            )
        return headers

    def _count_unknown(self, headers: list[TrialHeader], log: ProblemLog) -> None:
        n_unknown = sum(h.clip is None and h.clip_row is None for h in headers)
        if n_unknown:
            log.warning(
                ".",
                f"which clip was shown is not known for {n_unknown} of {len(headers)} trials"
                + (", nor their emotion." if self.facts.label_codes and self.mappings else "."),
                "Protocols that keep clips apart can't use them. If you know the clips, give the "
                "option 'sequences': a table with the columns subject, session, trial, clip.",
            )

    def _places(self, data_set: DataSet, mapping: BidsMapping, log: ProblemLog) -> list[Place]:
        """Return the recordings that the mapping asks for, with subject and session."""
        rule = mapping.files
        found = []
        ignored: Counter[str] = Counter()
        for file in data_set.recordings(rule.suffix, rule.extensions):
            run = re.search(rule.run, file.path.name)
            if rule.tasks and file.entities.get("task") not in rule.tasks:
                ignored[f"task {file.entities.get('task')}"] += 1
            elif rule.sessions and file.entities.get("ses") not in rule.sessions:
                ignored[f"session {file.entities.get('ses')}"] += 1
            elif rule.runs and (run is None or int(run["number"]) not in rule.runs):
                ignored[f"run {run['number'] if run else 'unknown'}"] += 1
            else:
                found.append(file)
        if ignored:
            parts = ", ".join(f"{n} of {what}" for what, n in sorted(ignored.items()))
            log.note(".", f"recordings that the mapping leaves out: {parts}.")
        labels = sorted({f.entities["ses"] for f in found if "ses" in f.entities}, key=natural)
        order = list(rule.sessions) or labels
        places = []
        for file in found:
            where = relative(file.path, self.folder)
            match = re.fullmatch(rule.subject, file.entities["sub"])
            if match is None:
                log.warning(
                    where,
                    f"the subject {file.entities['sub']!r} does not match {rule.subject!r}; the "
                    "recording is left out.",
                    "Correct files.subject in the mapping.",
                )
                continue
            subject = int(match["number"]) - rule.first_subject + 1
            name = file.entities.get("ses")
            session = 1 if name is None else order.index(name) + 1
            places.append(Place(file, where, subject, session, name))
        return places

    def _recordings(
        self,
        data_set: DataSet,
        mapping: BidsMapping,
        places: Sequence[Place],
        sequences: Sequences,
        log: ProblemLog,
    ) -> list[TrialHeader]:
        headers_of: dict[str, dict[str, Any]] = {}
        for place in places:
            try:
                headers_of[place.where] = self._cache.get(place.file.path, "header", read_header)
            except FileFormatError as error:
                log.error(place.where, str(error), _AGAIN)
        self.channels, self._wirings = wire(
            data_set, mapping, places, headers_of, self.facts.electrodes, self._cache, log
        )
        headers: list[TrialHeader] = []
        counts: Counter[tuple[int, int]] = Counter()
        for place in places:
            if place.where in self._wirings:
                headers += self._of_recording(data_set, mapping, place, counts, sequences, log)
        return headers

    def _read_table(
        self, data_set: DataSet, file: BidsFile, suffix: str, where: str, log: ProblemLog
    ) -> dict[str, list[str]] | None:
        """Return the table that stands beside a recording, None with a problem logged."""
        for found in data_set.companions(file, suffix, ".tsv"):
            try:
                table: dict[str, list[str]] = self._cache.get(found.path, "table", read_table)
                return table
            except FileFormatError as error:
                log.error(relative(found.path, self.folder), str(error), _AGAIN)
                return None
        what = f"no {suffix}.tsv stands beside it or above"
        if suffix == "events":
            log.error(where, f"{what}, so its trials are not known.", _AGAIN)
        else:
            log.warning(where, f"{what}; what it tells is missing.", "Copy it from the source.")
        return None

    def _of_recording(
        self,
        data_set: DataSet,
        mapping: BidsMapping,
        place: Place,
        counts: Counter[tuple[int, int]],
        sequences: Sequences,
        log: ProblemLog,
    ) -> Iterator[TrialHeader]:
        rule, wiring = mapping.trials, self._wirings[place.where]
        assert rule is not None
        events = self._read_table(data_set, place.file, "events", place.where, log)
        if events is None:
            return
        found = find_trials(events, rule, wiring.sfreq, wiring.n_samples)
        self._report(found, place.where, log)
        if found.faults:
            return
        if found.rest is not None:
            self._rests[place.where] = found.rest
        behaviour = None
        if mapping.behaviour is not None:
            suffix = mapping.behaviour.suffix
            behaviour = self._read_table(data_set, place.file, suffix, place.where, log)
        labels = join_labels(mapping, events, behaviour, found.starts)
        for fault in labels.faults:
            log.warning(place.where, f"{fault}.", "These labels are missing.")
        if labels.unknown:
            values = ", ".join(dict.fromkeys(labels.unknown))
            log.error(
                place.where,
                f"values that stand for no emotion in the mapping: {values[:200]}.",
                "Add them to emotion.words.",
            )
        if labels.strange:
            words = ", ".join(sorted(set(labels.strange)))
            log.note(place.where, f"felt emotions that the mapping does not know: {words}.")
        names = list(dict.fromkeys(rule.sessions.values()))
        for trial in found.trials:
            k = found.starts.index(trial.row)
            session, session_name = place.session, place.session_name
            if trial.session is not None:
                session, session_name = names.index(trial.session) + 1, trial.session
            counts[place.subject, session] += 1
            row = counts[place.subject, session]
            header = TrialHeader(
                subject=place.subject,
                session=session,
                row=row,
                trial=row,
                clip_row=None,
                file=place.where,
                key=f"{trial.start}",
                n_channels=len(self.channels),
                duration_s=(trial.stop - trial.start) / wiring.sfreq,
                onset_s=trial.start / wiring.sfreq,
                sfreq=wiring.sfreq,
                session_name=session_name,
            )
            yield self._labelled(header, labels, k, sequences, log)

    def _report(self, found: Found, where: str, log: ProblemLog) -> None:
        for what, fix in found.faults:
            log.error(where, what, fix)
        for what, fix in found.warnings:
            log.warning(where, what, fix)
        if not found.faults and not found.starts:
            log.error(
                where,
                "its events have no start of a trial.",
                "Compare trials.start in the mapping with the events.",
            )

    # labels

    def _labelled(
        self, header: TrialHeader, labels: Labels, k: int, sequences: Sequences, log: ProblemLog
    ) -> TrialHeader:
        mapping = self.mapping
        name = labels.clips[k]
        told = sequences.get((header.subject, header.session_name or "", header.trial or 0))
        told = told or sequences.get((header.subject, str(header.session), header.trial or 0))
        name = told or name
        clip_row = None
        if mapping.clips is not None and mapping.clips.catalogue_row and name is not None:
            n_clips = len(self.facts.clips[header.session - 1]) if self.facts.clips else 0
            if name.isdigit() and 1 <= int(name) <= n_clips:
                clip_row, name = int(name), None
        clip = None
        if name is not None:
            clip = self._clip(name, header.session_name, labels.films[k])
        ratings: dict[str, float] = {}
        for rating, value in labels.ratings[k].items():
            low, high = mapping.ratings[rating].scale
            if low <= value <= high:
                ratings[rating] = value
            else:
                log.warning(
                    header.file,
                    f"{rating} of trial {header.row} is {value:g}, outside {low:g} to {high:g}; it "
                    "is left out.",
                    f"Correct ratings.{rating} in the mapping if that is its scale.",
                )
        return replace(
            header,
            clip=clip,
            clip_row=clip_row,
            emotion=labels.words[k],
            felt_emotion=labels.felt[k],
            ratings=ratings or None,
        )

    def _labelled_row(self, header: TrialHeader, sequences: Sequences) -> TrialHeader:
        """Return the header of a row of an array with its clip."""
        rule = self.mapping.array
        assert rule is not None
        row = header.row - 1
        name = sequences.get((header.subject, header.session_name or "", header.row))
        if name is None and header.clip_row is not None:
            name = rule.rows[row]
        clip = None if name is None else self._clip(name, header.session_name, None)
        return replace(header, clip=clip, clip_row=None)

    def _clip(self, name: str, session: str | None, film: str | None) -> Clip:
        if not hasattr(self, "_known_clips"):
            every = (clip for clips in self.facts.clips for clip in clips)
            self._known_clips = {clip.clip: clip for clip in every}
        mapping = self.mapping
        prefix = f"{session}-" if mapping.clips_by_session and session else ""
        full = f"{mapping.corpus}/{prefix}{name}"
        if full not in self._known_clips:
            words = mapping.emotion.words if mapping.emotion is not None else {}
            by_clip = mapping.emotion is not None and mapping.emotion.source == "clip"
            self._known_clips[full] = Clip(
                clip=full,
                film=film,
                series=film,
                emotion=words.get(name) if by_clip else None,
            )
        return self._known_clips[full]

    def _sidecar(self, file: BidsFile, log: ProblemLog) -> dict[str, Any]:
        try:
            return self._data_set.sidecar(file)
        except FileFormatError as error:
            log.warning(relative(file.path, self.folder), str(error), _AGAIN)
            return {}

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[Any]:
        if self.mapping.array is not None:
            yield path
            return
        with open_recording(path) as recording:
            yield recording

    def _signals(self, handle: Any, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        wiring = self._wirings[header.file]
        if self.mapping.array is not None:
            return read_trial(handle, int(header.key), len(self.channels)) * wiring.volts, 0
        start = int(header.key)
        stop = start + round(header.duration_s * header.sfreq)
        return self._stretch(handle, wiring, start, stop), 0

    def _stretch(
        self, recording: Any, wiring: Wiring, start: int, stop: int
    ) -> np.ndarray[Any, Any]:
        lengths = {recording.lengths[pick] for pick in wiring.picks}
        if lengths != {wiring.n_samples}:
            raise FileFormatError("the recording changed since its trials were listed.")
        x = recording.read(wiring.picks, start, stop)
        return np.asarray(x * wiring.volts[:, None])

    def read_rest(self, trial: pd.Series | Mapping[str, Any]) -> np.ndarray[Any, Any] | None:
        """Read the rest that was recorded once in the trial's recording.

        Parameters
        ----------
        trial : Series
            A row of `trials`.

        Returns
        -------
        ndarray, shape (n_channels, n_samples), or None
            Volts, float64; None where the mapping or the events name no rest.

        Raises
        ------
        FileFormatError, ConfigError
            As `read`.
        """
        header = self._header(trial)
        rest = self._rests.get(header.file)
        if rest is None:
            return None
        with self._open(self.folder / header.file) as handle:
            return self._stretch(handle, self._wirings[header.file], *rest)
