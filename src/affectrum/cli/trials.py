"""``affectrum trials``."""

from __future__ import annotations

import sys
from pathlib import Path

from affectrum.cli.console import print_json, print_table

__all__ = ["trials"]

_SHOWN = ["subject", "session", "row", "trial", "clip", "emotion", "rating_valence"]
_SHOWN += ["rating_arousal", "valence", "arousal", "duration_s", "sfreq", "file"]


def trials(
    corpus: str,
    folder: Path,
    /,
    *,
    table: str = "emod",
    form: str = "auto",
    options: Path | None = None,
    classes: str | None = None,
    json: bool = False,
    csv: bool = False,
) -> None:
    """Print the trial table: one row per trial, the same columns for every corpus.

    Parameters
    ----------
    corpus
        The corpus, for example SEED.
    folder
        Its folder.
    table
        The valence-arousal table for emotion words (emod, warriner, faced-measured).
    form
        Which of the vendor's forms to read, where there are several (auto takes the best one).
    options
        A YAML file with what the reader has to be told (see `affectrum corpora NAME`).
    classes
        A class scheme, for example valence3 or "valence2(threshold=4.5, labels=ratings)": adds the
        column class and says how many trials each class has and why others are dropped.
    json
        Print JSON.
    csv
        Print CSV, all columns.
    """
    from affectrum.corpora import open_corpus
    from affectrum.errors import ConfigError

    if json and csv:
        raise ConfigError("--json and --csv exclude each other; give one of them.")
    opened = open_corpus(corpus, folder, table=table, form=form, options=options)
    frame = opened.trials
    shown_first, report = list(_SHOWN), None
    if classes is not None:
        from affectrum.affect import get_scheme

        scheme = get_scheme(classes)
        names = (*scheme.classes, None)  # the last one is that of -1, dropped
        frame["class"] = [names[code] for code in scheme.assign(frame, opened.name)]
        report = scheme.report(frame, opened.name)
        shown_first.append("class")
    if json:
        print_json(frame.to_dict(orient="records"))
        return
    if csv:
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    shown = [column for column in shown_first if not frame[column].isna().all()]
    print_table(
        shown,
        [
            [
                None if missing else (f"{cell:.4g}" if isinstance(cell, float) else cell)
                for cell, missing in zip(row, gone, strict=True)
            ]
            for row, gone in zip(
                frame[shown].itertuples(index=False, name=None),
                frame[shown].isna().to_numpy().tolist(),
                strict=True,
            )
        ],
        title=f"{opened.name}, {len(frame)} trials" + (" (SIMULATED)" if opened.simulated else ""),
        right=[c for c in shown if c not in ("clip", "emotion", "file", "class")],
        caption=None if report is None else str(report),
    )
