"""Finding a vendor's folders and files among what operating systems and people leave there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from affectrum.corpora.problems import ProblemLog

__all__ = [
    "file_names",
    "find_file",
    "find_files",
    "find_folders",
    "is_junk",
    "is_simulated",
    "matching_files",
    "relative",
]

SEARCH_DEPTH: Final = 2
SIMULATED_FILE: Final = "SIMULATED.txt"

_JUNK_NAMES: Final = frozenset({"thumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin"})


def is_junk(name: str) -> bool:
    """Whether a name is one that operating systems and office programs leave behind."""
    return name.startswith((".", "~$")) or name.casefold() in _JUNK_NAMES


def _children(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not is_junk(entry.name)]
    except OSError:
        return []
    return sorted(found, key=lambda entry: entry.name)


def file_names(folder: Path) -> list[str]:
    """Return the names of what a folder holds, without junk; none if it can't be listed."""
    return [entry.name for entry in _children(folder)]


def find_folders(
    top: Path,
    names: Iterable[str],
    depth: int = SEARCH_DEPTH,
    accept: Callable[[Path], bool] | None = None,
) -> dict[str, Path]:
    """Find folders by name, the top folder included, nearest first.

    Parameters
    ----------
    top : Path
        Where to begin.
    names : iterable of str
        Wanted names; case does not matter.
    depth : int
        How many levels below `top` are searched.
    accept : callable, optional
        Looks into a folder of a wanted name; one that it refuses is passed over.

    Returns
    -------
    dict of str to Path
        Those that were found, by the wanted spelling.
    """
    wanted = {name.casefold(): name for name in names}
    found: dict[str, Path] = {}
    for folder in _folders(top, depth):
        name = wanted.get(folder.name.casefold())
        if name is not None and name not in found and (accept is None or accept(folder)):
            found[name] = folder
    return found


def _is_dir(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder; a link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file; a link that leads to itself is none."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _folders(top: Path, depth: int) -> Iterator[Path]:
    level = [top]
    yield top
    for _ in range(depth):
        level = [
            Path(entry.path) for folder in level for entry in _children(folder) if _is_dir(entry)
        ]
        yield from level


def find_file(top: Path, name: str, depth: int = SEARCH_DEPTH) -> Path | None:
    """Return the nearest file of a name (case does not matter) at or below `top`, or None."""
    for folder in _folders(top, depth):
        for entry in _children(folder):
            if entry.name.casefold() == name.casefold() and _is_file(entry):
                return Path(entry.path)
    return None


def find_files(
    top: Path, pattern: re.Pattern[str], depth: int = SEARCH_DEPTH
) -> list[tuple[re.Match[str], Path]]:
    """Return what at or below `top` has a name that matches as a whole, nearest first.

    Links to nothing and folders count too: whoever opens them says what is wrong.

    Parameters
    ----------
    top : Path
        Where to begin.
    pattern : re.Pattern
        What a file is called.
    depth : int
        How many levels below `top` are searched.

    Returns
    -------
    list of (re.Match, Path)
        By depth, folder and name.
    """
    return [
        (match, Path(entry.path))
        for folder in _folders(top, depth)
        for entry in _children(folder)
        if (match := pattern.fullmatch(entry.name)) is not None and _is_file(entry)
    ]


def is_simulated(folder: Path, inner: Iterable[Path] = ()) -> bool:
    """Whether SIMULATED.txt stands in the corpus folder, or between it and an inner folder.

    Parameters
    ----------
    folder : Path
        The corpus folder that the user named; its parent counts too, for users who name an inner
        folder of a simulated corpus.
    inner : iterable of Path
        Folders below it that are read.

    Returns
    -------
    bool
        True for a simulated corpus.
    """
    places = [folder, folder.absolute().parent, folder.absolute().parent.parent]
    for path in inner:
        places += [path, *(parent for parent in path.parents if parent.is_relative_to(folder))]
    return any((place / SIMULATED_FILE).exists() for place in places)


def matching_files(
    folder: Path,
    pattern: re.Pattern[str],
    log: ProblemLog,
    top: Path,
    known: Iterable[str] = (),
) -> list[tuple[re.Match[str], Path]]:
    """Return the files whose whole name matches, and note the strangers.

    Parameters
    ----------
    folder : Path
        The folder to list.
    pattern : re.Pattern
        What a file is called.
    log : ProblemLog
        Receives a note about files that belong to nothing.
    top : Path
        The corpus folder, for messages.
    known : iterable of str
        Companions that belong there (any case).

    Returns
    -------
    list of (re.Match, Path)
        By file name.
    """
    companions = {name.casefold() for name in known} | {SIMULATED_FILE.casefold()}
    found, strangers = [], []
    for entry in _children(folder):
        match = pattern.fullmatch(entry.name)
        if match is not None:
            found.append((match, Path(entry.path)))
        elif entry.name.casefold() not in companions and not entry.name.startswith("simulat"):
            strangers.append(entry.name)
    if strangers:
        shown = ", ".join(strangers[:5]) + (" ..." if len(strangers) > 5 else "")
        log.note(
            relative(folder, top),
            f"{len(strangers)} files or folders that do not belong to the corpus: {shown}.",
            "They were ignored.",
        )
    return found


def relative(path: Path, top: Path) -> str:
    """Return a path relative to the corpus folder, with forward slashes."""
    try:
        return path.relative_to(top).as_posix()
    except ValueError:
        return path.as_posix()
