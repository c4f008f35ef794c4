"""Telling public BIDS data sets from each other."""

from __future__ import annotations

import re
from pathlib import Path

from affectrum.corpora.bids_files import DESCRIPTION, find_data_set, read_json
from affectrum.corpora.folders import file_names
from affectrum.errors import FileFormatError

__all__ = ["describes", "named_files"]


def describes(folder: Path, accession: str, name: str) -> Path | None:
    """Return the folder of a public data set, None if it is another one or none.

    Parameters
    ----------
    folder : Path
        Where to look: at, above and below it.
    accession : str
        The number that its DOI holds.
    name : str
        Regular expression for its name, for versions without a DOI.

    Returns
    -------
    Path or None
        The folder with dataset_description.json.
    """
    root = find_data_set(folder)
    if root is None:
        return None
    try:
        description = read_json(root / DESCRIPTION)
    except FileFormatError:
        return None
    doi = str(description.get("DatasetDOI") or "").casefold()
    if "openneuro" in doi:
        return root if accession in doi else None
    return root if re.fullmatch(name, str(description.get("Name") or "").strip()) else None


def named_files(root: Path, pattern: str) -> bool:
    """Whether a data set has a file whose whole name matches, in the usual places of subjects.

    Parameters
    ----------
    root : Path
        The data set's folder.
    pattern : str
        Regular expression.

    Returns
    -------
    bool
        True at the first one.
    """
    wanted = re.compile(pattern)
    for top in (root, root / "derivatives"):
        for subject in file_names(top):
            if not subject.startswith("sub-"):
                continue
            places = [top / subject]
            for _ in range(3):
                if any(wanted.fullmatch(name) for place in places for name in file_names(place)):
                    return True
                places = [
                    place / name
                    for place in places
                    for name in file_names(place)
                    if (place / name).is_dir()
                ]
    return False
