"""SEED-GER: 20 clips shown to German people in three sessions.

The one public list of times has 18 intervals for 20 labels. It is never used for cutting.
"""

from __future__ import annotations

from affectrum.catalog import seed_ger as catalogued
from affectrum.corpora.seed_language import SeedLanguageCorpus
from affectrum.corpora.seed_language_files import Run

__all__ = ["READER", "SeedGerCorpus"]


class SeedGerCorpus(SeedLanguageCorpus):
    """Reader of SEED-GER; see `Corpus`."""

    name = "SEED-GER"
    labels = catalogued.LABELS
    public_times = None

    def _refuse_published(self) -> str:
        n_intervals, n_labels = len(catalogued.PUBLIC_START_S), len(catalogued.LABELS)
        return (
            f"The one public list has {n_intervals} intervals for {n_labels} labels, so at least "
            f"{n_labels - n_intervals} clips are missing in it and pairing from the front is "
            "likely wrong from trial 2 on. All its pauses are about 30 s long but those after its "
            "first and its seventeenth interval (275 s and 287 s), each long enough for one more "
            "clip: that suggests, and does not prove, that the intervals are of the trials 1, 3 "
            "to 18 and 20."
        )

    def _compare_public(self, runs: list[Run], window_s: float) -> str:
        lengths = [
            int((end - start) / window_s)
            for start, end in zip(catalogued.PUBLIC_START_S, catalogued.PUBLIC_END_S, strict=True)
        ]
        alone = {run.rows[0]: run.n_windows for run in runs if len(run.rows) == 1}
        supposed = dict(zip(catalogued.SUPPOSED_ROWS, lengths, strict=True))
        in_front = dict(enumerate(lengths, start=1))
        counts = [
            sum(alone.get(row) == n for row, n in pairing.items())
            for pairing in (supposed, in_front)
        ]
        return (
            f" Of the {len(alone)} others, {counts[0]} have as many windows as the public times "
            f"say if they are of the trials 1, 3 to 18 and 20, and {counts[1]} if they are of the "
            "trials 1 to 18."
        )


READER = SeedGerCorpus
