"""The files of a BIDS data set: names taken apart, tables and sidecars found and read.

Reference: the BIDS specification, "File name structure" and "The Inheritance Principle".
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from affectrum.corpora.bids_parts import SUFFIXES
from affectrum.corpora.folders import is_junk
from affectrum.errors import FileFormatError

__all__ = ["BidsFile", "DataSet", "find_data_set", "natural", "read_json", "read_table", "value_of"]

DESCRIPTION: Final = "dataset_description.json"
_MAX_BYTES: Final = 1 << 26
_MAX_FILES: Final = 1_000_000
_DEPTH: Final = 5
_ENTITY: Final = re.compile(r"([a-zA-Z]+)-([^_]+)")
_ENDINGS: Final = (".nii.gz", ".tsv.gz")
MISSING: Final = frozenset({"", "n/a", "nan", "none", "null"})
"""What tables write where there is no value, in lower case."""


@dataclass(frozen=True)
class BidsFile:
    """A file whose name follows BIDS.

    Parameters
    ----------
    path : Path
        The file.
    entities : dict of str to str
        Parts of the name, e.g. {"sub": "01", "task": "emotion"}.
    suffix : str
        The last part, e.g. "eeg".
    ending : str
        With its dot, in lower case.
    """

    path: Path
    entities: dict[str, str] = field(hash=False)
    suffix: str
    ending: str


def parse_name(path: Path) -> BidsFile:
    """Take a file's name apart; a name that does not follow BIDS has no entities."""
    name = path.name
    lower = name.casefold()
    ending = next((e for e in _ENDINGS if lower.endswith(e)), path.suffix.casefold())
    stem = name[: len(name) - len(ending)]
    *pairs, suffix = stem.split("_")
    matches = [_ENTITY.fullmatch(pair) for pair in pairs]
    entities = {match[1].casefold(): match[2] for match in matches if match is not None}
    return BidsFile(path, entities, suffix, ending)


def natural(text: str) -> tuple[Any, ...]:
    """Return a key that sorts "2" before "10"."""
    return tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text)
    )


def find_data_set(folder: Path, depth: int = 2) -> Path | None:
    """Return the nearest folder with dataset_description.json: `folder`, above or below it.

    Parameters
    ----------
    folder : Path
        Where to begin.
    depth : int
        How many levels below (and above, for inner folders) are searched.

    Returns
    -------
    Path or None
        The data set's folder.
    """
    level = [folder]
    for _ in range(depth + 1):
        for place in level:
            if (place / DESCRIPTION).is_file():
                # a derivative of a data set describes itself too
                above = place.parent
                nested = place.parent.name == "derivatives" and place != folder
                return above.parent if nested and (above.parent / DESCRIPTION).is_file() else place
        level = [entry for place in level for entry in _folders(place)]
    for place in list(folder.absolute().parents)[: depth + 2]:
        if (place / DESCRIPTION).is_file():
            return place
    return None


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [Path(e.path) for e in entries if _is_folder(e) and not is_junk(e.name)]
    except OSError:
        return []
    return sorted(found)


class DataSet:
    """The files of a data set, or of one folder in it.

    Parameters
    ----------
    root : Path
        The folder with dataset_description.json.
    folder : str
        Where recordings are, below `root`.

    Attributes
    ----------
    description : dict
        dataset_description.json; empty if it can't be read.
    files : list of BidsFile
        All that follow BIDS, by path; those of `folder` and of the folders above it.
    """

    def __init__(self, root: Path, folder: str = "") -> None:
        self.root = root
        self.folder = root / folder
        try:
            described = read_json(root / DESCRIPTION)
        except FileFormatError:
            described = {}
        self.description = described
        self.files = sorted(_walk(root, _DEPTH, not folder), key=lambda file: file.path)

    def recordings(self, suffix: str, endings: tuple[str, ...]) -> list[BidsFile]:
        """Return the recordings below `folder`; of several formats of one, the first ending's.

        Parameters
        ----------
        suffix : str
            The files' suffix.
        endings : tuple of str
            Their endings, the preferred one first.

        Returns
        -------
        list of BidsFile
            By name, numbers as numbers.
        """
        chosen: dict[Path, BidsFile] = {}
        for file in self.files:
            if file.suffix != suffix or file.ending not in endings or "sub" not in file.entities:
                continue
            if not file.path.is_relative_to(self.folder):
                continue
            stem = file.path.with_suffix("")
            other = chosen.get(stem)
            if other is None or endings.index(file.ending) < endings.index(other.ending):
                chosen[stem] = file
        return sorted(chosen.values(), key=lambda file: natural(file.path.as_posix()))

    def companions(self, recording: BidsFile, suffix: str, ending: str) -> list[BidsFile]:
        """Return the files that say something of a recording, the most particular one first.

        Parameters
        ----------
        recording : BidsFile
            The recording.
        suffix, ending : str
            Of the wanted files, e.g. "events" and ".tsv".

        Returns
        -------
        list of BidsFile
            Those whose entities are all the recording's, of its subject or of all.
        """
        found = []
        for file in self._by_kind().get((suffix, ending), ()):
            if all(recording.entities.get(k) == v for k, v in file.entities.items()):
                subject = f"sub-{recording.entities['sub']}"
                inside = subject in file.path.parts or "sub" not in file.entities
                if inside:
                    found.append(file)
        near = recording.path.parent
        found.sort(
            key=lambda f: (-len(f.entities), f.path.parent != near, f.path.as_posix()),
        )
        return found

    def sidecar(self, recording: BidsFile) -> dict[str, Any]:
        """Return the recording's JSON, with what it inherits.

        Raises
        ------
        FileFormatError
            One of the files is damaged.
        """
        merged: dict[str, Any] = {}
        for file in reversed(self.companions(recording, recording.suffix, ".json")):
            merged |= read_json(file.path)
        return merged

    def _by_kind(self) -> dict[tuple[str, str], list[BidsFile]]:
        if not hasattr(self, "_kinds"):
            self._kinds: dict[tuple[str, str], list[BidsFile]] = {}
            for file in self.files:
                self._kinds.setdefault((file.suffix, file.ending), []).append(file)
        return self._kinds


def _walk(folder: Path, depth: int, skip_derived: bool) -> Iterator[BidsFile]:
    """Yield the files of a data set, without derivatives, source data and hidden folders."""
    level, n_files = [folder], 0
    skipped = {"derivatives", "sourcedata", "code", "stimuli"} if skip_derived else {"sourcedata"}
    for _ in range(depth):
        following: list[Path] = []
        for place in level:
            try:
                with os.scandir(place) as entries:
                    for entry in entries:
                        if is_junk(entry.name):
                            continue
                        file = parse_name(Path(entry.path))
                        # a folder called like a recording is a fault of that recording
                        if file.ending not in SUFFIXES and _is_folder(entry):
                            if entry.name not in skipped:
                                following.append(file.path)
                            continue
                        n_files += 1
                        if n_files > _MAX_FILES:
                            return
                        if file.entities or file.ending in (".tsv", ".json"):
                            yield file
            except OSError:
                continue
        level = following


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FileFormatError(f"{path}: larger than a table can be.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FileFormatError(f"{path}: no text in UTF-8. Copy it again from its source.") from None
    except OSError as error:
        raise FileFormatError(f"{path}: can't be read ({error.strerror or error}).") from None


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file that holds names and values.

    Raises
    ------
    FileFormatError
        The file is missing, damaged or holds something else.
    """
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: no JSON ({error}). Copy it again.") from None
    if not isinstance(content, dict):
        raise FileFormatError(f"{path}: expected names and values.")
    return content


def read_table(path: Path) -> dict[str, list[str]]:
    """Return a table with tabs between its columns.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to list of str
        Column -> its cells, without blanks around them.

    Raises
    ------
    FileFormatError
        The file can't be read, or rows have other numbers of cells than the header.
    """
    text = _text(path)
    if "\0" in text:
        raise FileFormatError(f"{path}: no text. Copy it again from its source.")
    try:
        rows = [
            row
            for row in csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise FileFormatError(f"{path}: no table ({error}). Copy it again.") from None
    if not rows:
        raise FileFormatError(f"{path}: empty. Copy it again from its source.")
    names = [cell.strip() for cell in rows[0]]
    if len(set(names)) != len(names):
        raise FileFormatError(f"{path}: a column occurs twice among {', '.join(names)[:200]}.")
    wrong = [number for number, row in enumerate(rows[1:], 2) if len(row) != len(names)]
    if wrong:
        raise FileFormatError(
            f"{path}: row {wrong[0]} has {len(rows[wrong[0] - 1])} cells, the header {len(names)}; "
            "the file is cut or its tabs were changed. Copy it again from its source."
        )
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(names)
    return {
        name: [cell.strip() for cell in column] for name, column in zip(names, columns, strict=True)
    }


def value_of(cell: str) -> str | None:
    """Return a cell's text, None where it stands for a missing value."""
    return None if cell.casefold() in MISSING else cell
