"""Readers: a vendor's folder as a trial table, and one trial's signals at a time.

>>> import affectrum as af
>>> corpus = af.open_corpus("SEED", "SEED/")  # doctest: +SKIP
>>> corpus.trials  # doctest: +SKIP
>>> x = corpus.read(corpus.trials.iloc[0])  # (n_channels, n_samples) volts  # doctest: +SKIP

A new corpus is a fact file in `affectrum.catalog` and a reader in this folder, both named after
the corpus; nothing else has to be told.
"""

from __future__ import annotations

from affectrum.corpora.base import Corpus, FeatureInfo
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import CheckReport, Problem
from affectrum.corpora.registry import check_folder, names, open_corpus, reader, recognise
from affectrum.corpora.table import COLUMNS, EXTRA_COLUMNS

__all__ = [
    "COLUMNS",
    "EXTRA_COLUMNS",
    "CheckReport",
    "Corpus",
    "FeatureInfo",
    "Problem",
    "ReaderOptions",
    "check_folder",
    "names",
    "open_corpus",
    "reader",
    "recognise",
]
