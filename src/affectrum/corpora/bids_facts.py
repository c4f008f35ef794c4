"""Facts of a BIDS corpus that the catalogue does not know: from its mapping and its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from affectrum import catalog
from affectrum.catalog import Clip, CorpusFacts
from affectrum.corpora.bids_mapping import BidsMapping
from affectrum.corpora.table import TrialHeader

__all__ = ["EXPECTED", "complete_facts", "first_facts", "text_of"]

EXPECTED = """\
BIDS/
  dataset_description.json
  sub-01/ ...                     eeg/sub-01_task-..._eeg.edf (.bdf, .set, .vhdr)
                                  eeg/sub-01_task-..._events.tsv, _channels.tsv, _eeg.json
"""


def text_of(value: Any, default: str) -> str:
    """Return a text of a data set's description, `default` where there is none."""
    return str(value) if isinstance(value, str) and value.strip() else default


def first_facts(mapping: BidsMapping | None, description: dict[str, Any]) -> CorpusFacts:
    """Return what is known before a recording was opened.

    Parameters
    ----------
    mapping : BidsMapping or None
        The mapping.
    description : dict
        dataset_description.json.

    Returns
    -------
    CorpusFacts
        Those of the catalogue where the mapping names one of its corpora; else electrodes, rates,
        people and trials are still missing.
    """
    if mapping is not None and catalog.is_known(mapping.corpus):
        return catalog.get(mapping.corpus)
    told = None if mapping is None else mapping.facts
    ratings = {} if mapping is None else {n: r.scale for n, r in mapping.ratings.items()}
    emotion = None if mapping is None else mapping.emotion
    words = list(dict.fromkeys(emotion.words.values())) if emotion is not None else []
    felt = None if mapping is None else mapping.felt
    doi = text_of(description.get("DatasetDOI"), "").removeprefix("doi:")
    return CorpusFacts(
        name="BIDS" if mapping is None else mapping.corpus,
        title=(told.title if told else "") or text_of(description.get("Name"), "BIDS data set"),
        lab=(told.lab if told else "") or ("BIDS" if mapping is None else mapping.corpus),
        summary=(told.summary if told else "") or "A BIDS data set, read by a mapping.",
        electrodes=(),
        electrodes_in_file=(),
        sfreq=0.0,
        raw_sfreq=0.0,
        unit=None,
        volts_per_unit=None,
        passband_hz=None,
        mains_hz=None if mapping is None else mapping.signal.mains_hz,
        reference=None if mapping is None else mapping.signal.reference,
        n_subjects=0,
        n_sessions=0,
        trials_per_session=(),
        clips=(),
        row_order="presentation",
        label_codes=dict(enumerate(words)),
        ratings=ratings,
        felt_codes=dict(enumerate(dict.fromkeys(felt.words.values()))) if felt else {},
        plane_from="" if words or {"valence", "arousal"} <= set(ratings) else "emotion",
        trials_vary=True,
        baseline_s=0.0,
        n_samples=None,
        sex=None,
        clip_evidence="as the mapping says",
        licence=(told.licence if told else "") or text_of(description.get("License"), "not stated"),
        access="",
        url=told.url if told else "",
        citation=(told.citation if told else "")
        or text_of(description.get("HowToAcknowledge"), ""),
        doi=doi or None,
        expected_folder=EXPECTED,
        notes=told.notes if told else (),
        class_schemes=(),
    )


def complete_facts(
    facts: CorpusFacts,
    headers: Sequence[TrialHeader],
    electrodes: tuple[str, ...],
    in_file: tuple[str, ...],
    sidecar: dict[str, Any],
) -> CorpusFacts:
    """Return facts with what the recordings tell.

    Parameters
    ----------
    facts : CorpusFacts
        Those of `first_facts`, of a corpus that the catalogue does not know.
    headers : sequence of TrialHeader
        Its trials.
    electrodes, in_file : tuple of str
        Canonical names in the order of reading, and how the files spell them.
    sidecar : dict
        The JSON of the first recording.

    Returns
    -------
    CorpusFacts
        The copy.
    """
    import dataclasses

    n_sessions = max((h.session for h in headers), default=0)
    counts = Counter((h.subject, h.session) for h in headers)
    per_session = tuple(
        max((n for (_, session), n in counts.items() if session == number), default=0)
        for number in range(1, n_sessions + 1)
    )
    clips = []
    for number in range(1, n_sessions + 1):
        seen: dict[str, Clip] = {}
        for h in headers:
            if h.session == number and h.clip is not None:
                seen.setdefault(h.clip.clip, h.clip)
        clips.append(tuple(seen.values()))
    names = {h.session: h.session_name for h in headers if h.session_name is not None}
    mains = sidecar.get("PowerLineFrequency")
    rates = Counter(h.sfreq for h in headers)
    sfreq = rates.most_common(1)[0][0] if rates else 0.0
    return dataclasses.replace(
        facts,
        electrodes=electrodes,
        electrodes_in_file=in_file,
        sfreq=sfreq,
        raw_sfreq=sfreq,
        mains_hz=facts.mains_hz
        or (float(mains) if isinstance(mains, int | float) and mains > 0 else None),
        reference=facts.reference or text_of(sidecar.get("EEGReference"), "") or None,
        n_subjects=len({h.subject for h in headers}),
        n_sessions=n_sessions,
        trials_per_session=per_session,
        clips=tuple(clips),
        session_names=tuple(names.get(s) or str(s) for s in range(1, n_sessions + 1))
        if names
        else (),
    )
