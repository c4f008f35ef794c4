"""``affectrum corpora``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from affectrum.cli.console import make_console, print_json, print_table

if TYPE_CHECKING:
    from affectrum.catalog import CorpusFacts

__all__ = ["corpora"]


def corpora(
    name: str | None = None,
    /,
    *,
    labels: bool = False,
    films: bool = False,
    table: str = "emod",
    out: Path | None = None,
    json: bool = False,
) -> None:
    """List the corpora it reads: subjects, trials, channels, rate, labels, licence, access.

    Parameters
    ----------
    name
        One corpus, to see everything about it (expected folder, access, traps, citation).
    labels
        Show the labels instead: all words, clips and rating scales in one valence-arousal plane.
    films
        Show the films and series that several corpora share.
    table
        With --labels: the valence-arousal table that places words (emod, warriner,
        faced-measured).
    out
        With --labels: draw them to this file (.png, .svg or .html).
    json
        Print JSON.
    """
    import dataclasses

    from affectrum import catalog
    from affectrum.affect import schemes_of
    from affectrum.errors import ConfigError

    if labels and films:
        raise ConfigError("--labels and --films exclude each other; give one of them.")
    if not labels and (out is not None or table != "emod"):
        raise ConfigError("--out and --table belong to --labels; add it.")
    if labels:
        _labels_of(None if name is None else [name], table, out, json)
        return
    if films:
        _films(name, json)
        return
    if name is not None:
        facts = catalog.get(name)
        if json:
            print_json(dataclasses.asdict(facts))
            return
        lines = [
            f"{facts.name}: {facts.title}",
            "",
            facts.summary,
            "",
            f"subjects      {facts.n_subjects}",
            f"sessions      {facts.n_sessions} with {_trials(facts.trials_per_session)} trials",
            f"electrodes    {_electrodes(facts)}",
            f"rate          {facts.sfreq:g} Hz{_band(facts.passband_hz)}",
            f"labels        {_labels(facts)}",
            f"classes       {', '.join(schemes_of(facts.name))}",
            f"licence       {facts.licence}",
            f"access        {facts.access}",
            f"page          {facts.url}",
            f"citation      {facts.citation}",
            *_options(facts.name),
            "",
            "expected folder",
            *(f"  {line}" for line in facts.expected_folder.rstrip().splitlines()),
        ]
        if facts.notes:
            lines += ["", "notes", *(f"  - {note}" for note in facts.notes)]
        make_console().print("\n".join(lines), markup=False, soft_wrap=True)
        return
    every = [catalog.get(corpus) for corpus in catalog.names()]
    if json:
        print_json([dataclasses.asdict(facts) for facts in every])
        return
    print_table(
        ["corpus", "subjects", "sessions", "trials", "electrodes", "Hz", "labels", "access"],
        [
            [
                facts.name,
                facts.n_subjects,
                facts.n_sessions,
                _trials(facts.trials_per_session),
                len(facts.electrodes) or None,
                f"{facts.sfreq:g}",
                _labels(facts),
                facts.access,
            ]
            for facts in every
        ],
        right=["subjects", "sessions", "electrodes", "Hz"],
        caption="One corpus in full: affectrum corpora NAME. Others (MDME, any BIDS data set, a "
        "folder of recordings beside a table of ratings) are read by a mapping: docs/own-data.md",
    )


def _band(passband: tuple[float, float] | None) -> str:
    return "" if passband is None else f", filtered {passband[0]:g}–{passband[1]:g} Hz"


def _trials(per_session: tuple[int, ...]) -> str:
    return "/".join(str(n) for n in dict.fromkeys(per_session))


def _labels(facts: CorpusFacts) -> str:
    parts = [", ".join(facts.emotions)] if facts.emotions else []
    scales: dict[tuple[float, float], list[str]] = {}
    for name, scale in facts.ratings.items():
        scales.setdefault(scale, []).append(name)
    parts += [f"{', '.join(names)} {low:g}–{high:g}" for (low, high), names in scales.items()]
    if facts.felt_codes:
        parts.append("the emotion felt")
    return "; ".join(parts)


def _electrodes(facts: CorpusFacts) -> str:
    if not facts.electrodes:
        return "no source says them; the reader asks"
    return f"{len(facts.electrodes)}: {' '.join(facts.electrodes)}"


def _options(name: str) -> list[str]:
    """Lines about what a corpus's reader can be told."""
    from affectrum.corpora import names, reader
    from affectrum.corpora.options import describe_options

    if name not in names():
        return []
    told = describe_options(reader(name).Options)
    lines = [f"  {key}: {text}".rstrip(": ") for key, text in told.items()]
    return ["", "options of the reader", *lines] if lines else []


def _labels_of(names: list[str] | None, table: str, out: Path | None, json: bool) -> None:
    from affectrum.affect import label_space

    places = label_space(names, table)
    if out is not None:
        from affectrum.report.labels import write_labels

        write_labels(places, table, out)
    if json:
        print_json([place.to_dict() for place in places])
        return
    print_table(
        ["corpus", "kind", "label", "valence", "arousal", "clips", "from"],
        [
            [
                place.corpus,
                place.kind,
                place.name or None,
                _number(place.valence),
                _number(place.arousal),
                place.n_clips or None,
                place.detail,
            ]
            for place in places
        ],
        title=f"labels on the valence-arousal plane (-1..1), words by the table {table!r}",
        right=["valence", "arousal", "clips"],
        caption=f"wrote {out}" if out is not None else "--out FILE.png draws them",
    )


def _number(value: float) -> str | None:
    return f"{value:.2f}" if value == value else None


def _films(name: str | None, json: bool) -> None:
    import dataclasses

    from affectrum import catalog

    wanted = None if name is None else catalog.get(name).name
    shared = [
        film
        for level in ("film", "series")
        for film in catalog.shared_films(level)
        if wanted is None or wanted in film.corpora
    ]
    if json:
        print_json([dataclasses.asdict(film) for film in shared])
        return
    print_table(
        ["level", "title", "corpora", "clips"],
        [
            [film.level, film.title, ", ".join(film.corpora), ", ".join(film.clips)]
            for film in shared
        ],
        caption="Clips of one film or series in several corpora are no independent stimuli.",
    )
