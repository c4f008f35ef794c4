"""MAHNOB-HCI's session.xml: what was shown to whom, and what they felt.

The file comes from outside, so nothing in it is expanded: a document type, where entities would be
declared, ends the reading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NoReturn
from xml.parsers import expat

from affectrum.errors import FileFormatError, UnsafeFileError

__all__ = ["read_session"]

_MAX_BYTES: Final = 1_000_000
_MAX_LETTERS: Final = 200
_AGAIN: Final = "Copy the file again from the vendor's archive."


def read_session(path: Path) -> dict[str, Any]:
    """Return the attributes of a session and the number of its subject.

    Parameters
    ----------
    path : Path
        A session.xml.

    Returns
    -------
    dict
        ``attributes``: those of the root, as text; ``subject``: the ``id`` of its first subject as
        text, or None.

    Raises
    ------
    UnsafeFileError
        It declares a document type or entities, or is far too large.
    FileFormatError
        It can't be read, or is no session.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise FileFormatError(f"{path}: can't be read ({error.strerror or error}).") from None
    if len(content) > _MAX_BYTES:
        raise UnsafeFileError(f"{path}: larger than {_MAX_BYTES} bytes; a session.xml is small.")
    found: dict[str, Any] = {"root": None, "attributes": {}, "subject": None}

    def start(name: str, attributes: dict[str, str]) -> None:
        if found["root"] is None:
            found["root"] = name
            found["attributes"] = {
                key: value.strip()[:_MAX_LETTERS] for key, value in attributes.items()
            }
        elif name == "subject" and found["subject"] is None and "id" in attributes:
            found["subject"] = attributes["id"].strip()[:_MAX_LETTERS]

    def refuse(*_: Any) -> NoReturn:
        raise UnsafeFileError(
            f"{path}: declares a document type or entities, which no session.xml of the corpus "
            "does; it was not read further."
        )

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise FileFormatError(f"{path}: is no XML ({error}). {_AGAIN}") from None
    if found["root"] != "session":
        raise FileFormatError(f"{path}: its root is {found['root']!r}, not 'session'. {_AGAIN}")
    return {"attributes": found["attributes"], "subject": found["subject"]}
