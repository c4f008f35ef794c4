"""The cells of a small Excel workbook as text, for label lists that vendors ship as .xlsx.

A workbook is a zip archive of XML files. Only the first sheet is read, sizes are limited before
anything is unpacked, and files that declare entities are refused.
"""

from __future__ import annotations

import lzma
import os
import re
import struct
import xml.etree.ElementTree as ET
import zipfile
import zlib
from pathlib import Path
from typing import Final

from affectrum.errors import FileFormatError, UnsafeFileError

__all__ = ["read_cells"]

_MAX_BYTES: Final = 4 * 1024**2
_MAX_ROWS: Final = 10_000
_MAX_COLUMNS: Final = 256
# What damaged archives and documents raise; an encrypted one ends in a RuntimeError.
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ET.ParseError,
    RuntimeError,
    ValueError,
    EOFError,
)
_PLACE: Final = re.compile(r"([A-Z]{1,3})(\d{1,7})")


def read_cells(path: str | os.PathLike[str]) -> list[list[str]]:
    """Read the first sheet of a workbook.

    Parameters
    ----------
    path : path
        An .xlsx file.

    Returns
    -------
    list of list of str
        Rows from the first one on, cells from column A on; empty cells are "".

    Raises
    ------
    FileFormatError
        The file is missing, damaged, no workbook or larger than label lists are.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            sheets = sorted(n for n in names if re.fullmatch(r"xl/worksheets/[^/]+\.xml", n))
            if not sheets:
                raise FileFormatError(f"{path}: no Excel workbook: it has no sheet.")
            shared: list[str] = []
            if "xl/sharedStrings.xml" in names:
                strings = _parse(archive, "xl/sharedStrings.xml", path)
                shared = [_text(entry) for entry in strings.findall("{*}si")]
            sheet = _parse(archive, sheets[0], path)
    except OSError as error:
        raise FileFormatError(f"{path}: can't be read ({error.strerror or error}).") from None
    except _DAMAGE as error:
        raise FileFormatError(f"{path}: no Excel workbook, or damaged ({error}).") from None
    return _rows(sheet, shared, path)


def _parse(archive: zipfile.ZipFile, name: str, path: Path) -> ET.Element:
    with archive.open(name) as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise UnsafeFileError(f"{path}: {name} unpacks to more than {_MAX_BYTES} bytes.")
    # entities can expand without end; workbooks have none (and no other encoding could hide them)
    if b"<!" in data or b"\0" in data:
        raise UnsafeFileError(f"{path}: {name} declares entities or is no UTF-8.")
    return ET.fromstring(data)


def _text(element: ET.Element) -> str:
    return "".join(part.text or "" for part in element.iter() if part.tag.endswith("}t"))


def _rows(sheet: ET.Element, shared: list[str], path: Path) -> list[list[str]]:
    cells: dict[tuple[int, int], str] = {}
    for cell in sheet.iter():
        match = _PLACE.fullmatch(cell.get("r", "")) if cell.tag.endswith("}c") else None
        if match is None:
            continue
        column = 0
        for letter in match[1]:
            column = 26 * column + ord(letter) - ord("A") + 1
        row = int(match[2])
        if not (1 <= row <= _MAX_ROWS and column <= _MAX_COLUMNS):
            raise UnsafeFileError(f"{path}: a cell at {match[0]}, beyond any list of labels.")
        value = cell.find("{*}v")
        text = (value.text or "") if value is not None else _text(cell)
        if cell.get("t") == "s":
            if not text.isdecimal() or int(text) >= len(shared):
                raise FileFormatError(f"{path}: the cell {match[0]} points to no text.")
            text = shared[int(text)]
        cells[row, column] = text.strip()
    n_rows = max((row for row, _ in cells), default=0)
    n_columns = max((column for _, column in cells), default=0)
    return [
        [cells.get((row, column), "") for column in range(1, n_columns + 1)]
        for row in range(1, n_rows + 1)
    ]
