"""SEED-FRA: 21 clips shown to French people in three sessions."""

from __future__ import annotations

from affectrum.catalog import seed_fra as catalogued
from affectrum.corpora.seed_language import SeedLanguageCorpus
from affectrum.corpora.seed_language_files import Run

__all__ = ["READER", "SeedFraCorpus"]


class SeedFraCorpus(SeedLanguageCorpus):
    """Reader of SEED-FRA; see `Corpus`."""

    name = "SEED-FRA"
    labels = catalogued.LABELS
    public_times = tuple(
        (float(start), float(end))
        for start, end in zip(catalogued.PUBLIC_START_S, catalogued.PUBLIC_END_S, strict=True)
    )

    def _compare_public(self, runs: list[Run], window_s: float) -> str:
        alone = [run for run in runs if len(run.rows) == 1]
        agree = sum(
            int((end - start) / window_s) == run.n_windows
            for run in alone
            for start, end in [self.public_times[run.rows[0] - 1]]
        )
        return (
            f" Of the {len(alone)} others, {agree} have as many windows as the one public list of "
            "times says."
        )


READER = SeedFraCorpus
