"""``affectrum corpora``."""

from __future__ import annotations

from affectrum.cli.console import make_console, print_json, print_table

__all__ = ["corpora"]


def corpora(name: str | None = None, /, *, json: bool = False) -> None:
    """List the corpora it reads: subjects, trials, channels, rate, labels, licence, access.

    Parameters
    ----------
    name
        One corpus, to see everything about it (expected folder, access, traps, citation).
    json
        Print JSON.
    """
    import dataclasses

    from affectrum import catalog

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
            f"electrodes    {len(facts.electrodes)}: {' '.join(facts.electrodes)}",
            f"rate          {facts.sfreq:g} Hz{_band(facts.passband_hz)}",
            f"labels        {_labels(facts)}",
            f"classes       {', '.join(facts.class_schemes)}",
            f"licence       {facts.licence}",
            f"access        {facts.access}",
            f"page          {facts.url}",
            f"citation      {facts.citation}",
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
                len(facts.electrodes),
                f"{facts.sfreq:g}",
                _labels(facts),
                facts.access,
            ]
            for facts in every
        ],
        right=["subjects", "sessions", "electrodes", "Hz"],
        caption="One corpus in full: affectrum corpora NAME",
    )


def _band(passband: tuple[float, float] | None) -> str:
    return "" if passband is None else f", filtered {passband[0]:g}–{passband[1]:g} Hz"


def _trials(per_session: tuple[int, ...]) -> str:
    return "/".join(str(n) for n in dict.fromkeys(per_session))


def _labels(facts: object) -> str:
    codes: dict[int, str] = getattr(facts, "label_codes", {})
    if codes:
        return ", ".join(codes[code] for code in sorted(codes))
    ratings: dict[str, tuple[float, float]] = getattr(facts, "ratings", {})
    return ", ".join(f"{name} {low:g}–{high:g}" for name, (low, high) in ratings.items())
