"""Which corpora can be read. A reader is found by the name of its module."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectrum import catalog
from affectrum.corpora import checks
from affectrum.corpora.base import Corpus
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import CheckReport
from affectrum.errors import ConfigError, did_you_mean

__all__ = ["check_folder", "module_name", "names", "open_corpus", "reader", "recognise"]


def module_name(corpus: str) -> str:
    """Return the module of a corpus's reader and twin, e.g. "seed_iv" for "SEED-IV"."""
    return corpus.casefold().replace("-", "_")


def names() -> tuple[str, ...]:
    """Return the names of all corpora that can be read, in the catalogue's order."""
    package = importlib.import_module("affectrum.corpora")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    return tuple(name for name in catalog.names() if module_name(name) in modules)


def reader(name: str) -> type[Corpus]:
    """Return the reader of a corpus.

    Parameters
    ----------
    name : str
        The corpus's name; case, ``-``, ``_`` and blanks do not matter. "BIDS" stands for any
        BIDS data set, "recordings" (and "MDME") for any folder of recordings, read by a mapping.

    Returns
    -------
    type
        A subclass of `Corpus`.

    Raises
    ------
    ConfigError
        There is no such corpus, or no reader for it yet.
    """
    if catalog.fold_name(name) == "bids":
        from affectrum.corpora.bids import BidsCorpus

        return BidsCorpus
    from affectrum.corpora import mapped

    if catalog.fold_name(name) in mapped.NAMES:
        return mapped.RecordingsCorpus
    folded = {catalog.fold_name(known): known for known in names()}
    known = folded.get(catalog.fold_name(name))
    if known is None:
        raise ConfigError(
            f"Unknown corpus {name!r}. Corpora that can be read are "
            f"{', '.join(names())}.{did_you_mean(str(name), names())} A corpus of one's own is "
            "read by 'recordings' or 'BIDS' (in plans and paths files 'reader: recordings')."
        )
    module = importlib.import_module(f"affectrum.corpora.{module_name(known)}")
    found: type[Corpus] = module.READER
    return found


def recognise(folder: str | Path) -> tuple[str, ...]:
    """Return the corpora that a folder can be read as.

    Parameters
    ----------
    folder : path
        Any folder.

    Returns
    -------
    tuple of str
        Names in the catalogue's order; empty if it is no corpus's, several only where folders of
        several corpora lie side by side.
    """
    path = Path(folder)
    if not path.is_dir():
        return ()
    return tuple(name for name in names() if reader(name).find_forms(path))


def open_corpus(
    name: str,
    folder: str | Path,
    *,
    table: str = "emod",
    form: str = "auto",
    options: ReaderOptions | Mapping[str, Any] | str | Path | None = None,
) -> Corpus:
    """Open a corpus folder.

    Parameters
    ----------
    name : str
        One of `affectrum.corpora.names`; case, ``-``, ``_`` and blanks do not matter.
    folder : path
        The vendor's folder; the files may lie up to two levels below, or right in it.
    table : str
        The table that gives emotion words their valence and arousal, see `affectrum.affect`.
    form : str
        Which form of the corpus to read; "auto" takes the preferred one that is there.
    options : mapping, path or None
        What the corpus's reader has to be told (see ``reader(name).Options``), or a YAML file
        with it.

    Returns
    -------
    Corpus
        The trial table is ready; signals are read when they are asked for.

    Raises
    ------
    FolderError
        The folder is not usable; every fault is listed with its mending.
    ConfigError
        The name or the form is unknown.
    """
    return reader(name)(folder, table=table, form=form, options=options)


def check_folder(
    name: str,
    folder: str | Path,
    *,
    form: str = "auto",
    deep: bool = False,
    options: ReaderOptions | Mapping[str, Any] | str | Path | None = None,
) -> CheckReport:
    """Explain a folder: what is there, what is wrong and how to mend it. Raises for no folder.

    Parameters
    ----------
    name : str
        The corpus that is expected there.
    folder : path
        Any folder.
    form : str
        As in `open_corpus`.
    deep : bool
        Read the signals of all trials instead of one trial per file.
    options : mapping, path or None
        As in `open_corpus`.

    Returns
    -------
    CheckReport
        Its `usable` tells whether `open_corpus` accepts the folder.

    Raises
    ------
    ConfigError
        The name or the form is unknown.
    """
    return checks.report(reader(name)(folder, form=form, strict=False, options=options), deep=deep)
