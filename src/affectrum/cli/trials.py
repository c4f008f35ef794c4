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
    if json:
        print_json(frame.to_dict(orient="records"))
        return
    if csv:
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    shown = [column for column in _SHOWN if not frame[column].isna().all()]
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
        right=[column for column in shown if column not in ("clip", "emotion", "file")],
    )
