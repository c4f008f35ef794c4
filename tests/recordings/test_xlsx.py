"""Workbooks: cells as text, and nothing that unpacks without end."""

from __future__ import annotations

import contextlib
import zipfile

import numpy as np
import pytest

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings.xlsx import read_cells
from affectrum.twins.xlsx_files import write_xlsx

SPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def book(path, cells, shared=None, sheet="sheet1", head=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if shared is not None:
            entries = "".join(f"<si>{entry}</si>" for entry in shared)
            archive.writestr("xl/sharedStrings.xml", f"{head}<sst {SPACE}>{entries}</sst>")
        archive.writestr(
            f"xl/worksheets/{sheet}.xml",
            f"<worksheet {SPACE}><sheetData><row>{cells}</row></sheetData></worksheet>",
        )
    return path


def test_cells_of_all_kinds_stand_where_they_belong(tmp_path):
    cells = (
        '<c r="A1" t="s"><v>1</v></c><c r="C1"><v>21</v></c>'
        '<c r="B3" t="inlineStr"><is><t>in</t><t>line</t></is></c><c r="AA2" t="str"><v>x</v></c>'
    )
    shared = ["<t>zero</t>", "<r><t>Hap</t></r><r><t>py </t></r>"]  # the second in two fonts
    rows = read_cells(book(tmp_path / "a.xlsx", cells, shared))
    assert [len(row) for row in rows] == [27, 27, 27]
    assert rows[0][:3] == ["Happy", "", "21"]
    assert rows[1][26] == "x"
    assert rows[2][1] == "inline"


def test_workbooks_of_the_twins_are_read_back(tmp_path):
    path = tmp_path / "a.xlsx"
    write_xlsx(path, [["a & b", 3], ["<c>", 4]])
    assert read_cells(path) == [["a & b", "3"], ["<c>", "4"]]
    before = path.read_bytes()
    write_xlsx(path, [["a & b", 3], ["<c>", 4]])
    assert path.read_bytes() == before


def test_an_empty_sheet_has_no_rows(tmp_path):
    assert read_cells(book(tmp_path / "a.xlsx", "")) == []


@pytest.mark.parametrize(
    ("cells", "shared", "message"),
    [
        ('<c r="A1" t="s"><v>2</v></c>', ["<t>a</t>"], "points to no text"),
        ('<c r="A1" t="s"><v>-1</v></c>', ["<t>a</t>"], "points to no text"),
        ('<c r="A99999"><v>2</v></c>', None, "beyond any list"),
        ('<c r="ZZZ1"><v>2</v></c>', None, "beyond any list"),
        ('<c r="A1"><v>2</c>', None, "damaged"),
        ('<!ENTITY a "b"><c r="A1"><v>2</v></c>', None, "declares entities"),
    ],
)
def test_what_no_label_list_holds_is_refused(tmp_path, cells, shared, message):
    with pytest.raises(FileFormatError, match=message):
        read_cells(book(tmp_path / "a.xlsx", cells, shared))


def test_archives_that_unpack_without_end_are_refused(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 50_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(UnsafeFileError, match="unpacks to more than"):
        read_cells(path)


def test_other_files_are_explained(tmp_path):
    path = tmp_path / "a.xlsx"
    with pytest.raises(FileFormatError, match="can't be read"):
        read_cells(path)
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(FileFormatError, match="no Excel workbook"):
        read_cells(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(FileFormatError, match="it has no sheet"):
        read_cells(path)


def test_damage_ends_in_the_projects_own_error(tmp_path):
    content = book(tmp_path / "a.xlsx", '<c r="A1" t="s"><v>0</v></c>', ["<t>a</t>"]).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "b.xlsx"
    for _ in range(1000):
        noisy = bytearray(content[: rng.integers(1, len(content) + 1)])
        for place in rng.integers(0, len(noisy), rng.integers(0, 6)):
            noisy[place] = rng.integers(256)
        path.write_bytes(noisy)
        with contextlib.suppress(FileFormatError):
            read_cells(path)
