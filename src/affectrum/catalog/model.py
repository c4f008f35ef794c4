"""The form of a corpus's facts: what is known about it without opening a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from affectrum.errors import ConfigError

__all__ = ["Clip", "CorpusFacts", "words"]


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text, for tables that read better without quotes and commas."""
    return tuple(text.split())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """One stimulus of a corpus, named at three levels.

    Parameters
    ----------
    clip : str
        The excerpt as it was shown, unique over all corpora: ``"SEED/01"``, ``"SEED-IV/1-01"``
        (session-row), ``"DEAP/01"``.
    film : str or None
        The film it is cut from, spelt alike in every corpus that uses it; None if not known.
    series : str or None
        The series the film belongs to; a film of no series is its own. None if not known.
    emotion : str or None
        The emotion that the corpus says it elicits, in the corpus's own word; None where trials
        are rated instead.
    duration_s : float or None
        Seconds of EEG per trial as the corpus documents them.
    mean_ratings : dict of str to (float, float) or None
        Published mean and SD over people of each self-report, on the corpus's own scale
        (keys as in `CorpusFacts.ratings`); None where none are published.
    """

    clip: str
    film: str | None = None
    series: str | None = None
    emotion: str | None = None
    duration_s: float | None = None
    mean_ratings: dict[str, tuple[float, float]] | None = dataclasses.field(
        default=None, hash=False
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusFacts:
    """What is known about a corpus. Unknown is None, never a guess.

    Parameters
    ----------
    name : str
        The corpus's name as this project spells it, for example ``"SEED-IV"``.
    title : str
        Its full name.
    lab : str
        Who recorded it; corpora of one lab share it (for leave-one-lab-out).
    summary : str
        One or two sentences for a newcomer.
    electrodes : tuple of str
        Canonical 10-05 names, in the order of the file's rows; empty where no source says them
        (then the reader asks the user).
    electrodes_in_file : tuple of str
        The same as the corpus spells them.
    auxiliary : tuple of str
        Rows of the file after the electrodes that hold no EEG.
    sfreq : float
        Sampling rate of the preprocessed signals, Hz.
    raw_sfreq : float
        Sampling rate of the least processed signals that are distributed, Hz.
    unit : str or None
        Unit of the numbers in the preprocessed files; None where no source says it (then the
        reader measures or asks).
    volts_per_unit : float or None
        Multiply the numbers of the file by this to get volts; None with `unit`.
    passband_hz : tuple of float or None
        The band that the distributed preprocessed signals keep, Hz.
    mains_hz : float or None
        Mains frequency where it was recorded, Hz.
    reference : str or None
        Reference of the preprocessed signals; None where the corpus does not say.
    n_subjects, n_sessions : int
        Released subjects; sessions per subject.
    trials_per_session : tuple of int
        Trials of each session.
    clips : tuple of tuple of Clip
        One tuple per session, in the order of the file's rows.
    row_order : str
        What the order of the rows in the preprocessed files is: ``"presentation"`` or ``"clip"``
        (then the order of presentation has to come from elsewhere).
    label_codes : dict of int to str
        The vendor's integer codes and the emotion words they stand for; empty for corpora whose
        trials are known by their ratings only. (Where a vendor has words and no codes, they are
        numbered here in the order in which the vendor lists them.)
    ratings : dict of str to tuple of float
        Self-reports and the (lowest, highest) point of their scales; empty where there are none.
    felt_codes : dict of int to str
        Codes and words of an emotion that the person chose after the clip (`felt_emotion` in the
        trial table); empty where the corpus did not ask.
    plane_from : str
        What puts trials on the valence-arousal plane: ``"emotion"``, ``"ratings"``, or ``""`` for
        words where there are `label_codes` and ratings else.
    trials_vary : bool
        Whether the numbers of subjects, sessions and trials are only the most that can be there
        (then fewer are no fault of a folder).
    session_names : tuple of str
        The corpus's own names of sessions, in the order of `clips`; empty where they are numbers.
    baseline_s : float
        Seconds before the stimulus that stand at the beginning of each trial in the file.
    n_samples : tuple of tuple of int or None
        Samples of each (session, row) in the preprocessed file, baseline included, where they are
        published and the same for all subjects.
    feature_windows : dict of float to tuple of tuple of int
        Window length in seconds -> windows of each (session, row) in the shipped features.
    sex : str or None
        One letter (M or F) per subject, in order.
    clip_evidence : str
        How far the identity of clips, films and series can be trusted, and from where it comes.
    licence, access, url, citation : str
        Terms; whom to ask; the corpus's page; the paper to cite.
    doi : str or None
        DOI of that paper.
    openneuro : str or None
        Accession number of an openly licensed data set that `affectrum download` fetches.
    expected_folder : str
        Picture of the folder that the readers accept.
    notes : tuple of str
        Traps, each one sentence.
    class_schemes : tuple of str
        Names of the class schemes (see `affectrum.affect`) that the corpus's labels can fill.
    """

    name: str
    title: str
    lab: str
    summary: str
    electrodes: tuple[str, ...]
    electrodes_in_file: tuple[str, ...]
    auxiliary: tuple[str, ...] = ()
    sfreq: float
    raw_sfreq: float
    unit: str | None
    volts_per_unit: float | None
    passband_hz: tuple[float, float] | None
    mains_hz: float | None
    reference: str | None
    n_subjects: int
    n_sessions: int
    trials_per_session: tuple[int, ...]
    clips: tuple[tuple[Clip, ...], ...]
    row_order: str
    label_codes: dict[int, str] = dataclasses.field(default_factory=dict, hash=False)
    ratings: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict, hash=False)
    felt_codes: dict[int, str] = dataclasses.field(default_factory=dict, hash=False)
    plane_from: str = ""
    trials_vary: bool = False
    session_names: tuple[str, ...] = ()
    baseline_s: float
    n_samples: tuple[tuple[int, ...], ...] | None
    feature_windows: dict[float, tuple[tuple[int, ...], ...]] = dataclasses.field(
        default_factory=dict, hash=False
    )
    sex: str | None
    clip_evidence: str
    licence: str
    access: str
    url: str
    citation: str
    doi: str | None
    expected_folder: str
    notes: tuple[str, ...]
    class_schemes: tuple[str, ...]
    openneuro: str | None = None

    @property
    def emotions(self) -> tuple[str, ...]:
        """The corpus's emotion words in the order of their codes; empty for rated corpora."""
        return tuple(self.label_codes[code] for code in sorted(self.label_codes))

    @property
    def is_rated(self) -> bool:
        """Whether self-reports, not an emotion word, put trials on the plane."""
        if self.plane_from:
            return self.plane_from == "ratings"
        return not self.label_codes

    def code_of(self, emotion: str) -> int:
        """Return the vendor's integer code of an emotion word.

        Raises
        ------
        ConfigError
            If the corpus has no such word.
        """
        for code, word in self.label_codes.items():
            if word == emotion:
                return code
        raise ConfigError(
            f"{self.name} has no emotion {emotion!r}. "
            + (f"Its words are {', '.join(self.emotions)}." if self.emotions else "It is rated.")
        )

    def session_codes(self, session: int) -> tuple[int, ...]:
        """Vendor codes of a session's rows (`session` counts from 1); empty without codes."""
        if not self.label_codes:
            return ()
        words = [clip.emotion for clip in self.clips[session - 1]]
        return tuple(self.code_of(word) for word in words if word is not None)

    def with_films(
        self, films: Sequence[Sequence[tuple[str, str]]], evidence: str = "given by the user"
    ) -> CorpusFacts:
        """Return a copy with other film and series identities.

        For users who can check the identities against the corpus's own stimulus list.

        Parameters
        ----------
        films : sequence of sequence of (str, str)
            For each session, in the order of the rows: (film, series).
        evidence : str
            What stands in `clip_evidence` from now on.

        Returns
        -------
        CorpusFacts
            The copy; clip names, emotions and durations are unchanged.

        Raises
        ------
        ConfigError
            If the numbers of sessions or rows differ from the corpus's.
        """
        received = tuple(len(session) for session in films)
        if received != self.trials_per_session:
            raise ConfigError(
                f"Invalid 'films' for {self.name}: expected one (film, series) per row of each "
                f"session, that is {self.trials_per_session}; received {received}."
            )
        clips = tuple(
            tuple(
                dataclasses.replace(clip, film=film, series=series)
                for clip, (film, series) in zip(session, pairs, strict=True)
            )
            for session, pairs in zip(self.clips, films, strict=True)
        )
        return dataclasses.replace(self, clips=clips, clip_evidence=evidence)
