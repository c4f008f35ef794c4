"""Options of readers: where they come from, what they mean, what enters keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectrum.corpora.options import ReaderOptions, describe_options, make_options
from affectrum.errors import ConfigError


class Told(ReaderOptions):
    """What a made-up reader can be told.

    Parameters
    ----------
    unit : str or None
        The unit of the numbers,
        where no file says it.
    table, sequences : str or None
        A file.
    """

    unit: str | None = None
    table: str | None = None
    sequences: str | None = None


def test_options_are_described_by_their_docstring() -> None:
    assert describe_options(Told) == {
        "unit": "The unit of the numbers, where no file says it.",
        "table": "A file.",
        "sequences": "A file.",
    }
    assert describe_options(ReaderOptions) == {}


def test_files_named_in_a_file_start_from_its_folder(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "rows.csv").write_text("a,b")
    (tmp_path / "inner" / "told.yaml").write_text("unit: uV\ntable: rows.csv\nsequences: none.csv")
    monkeypatch.chdir(tmp_path)
    made = make_options(Told, "inner/told.yaml", "X")
    assert made.table == str(Path("inner") / "rows.csv")
    assert made.unit == "uV"
    assert made.sequences == "none.csv"  # the reader says that there is no such file
    assert make_options(Told, {"table": "rows.csv"}, "X").table == "rows.csv"


def test_the_content_of_a_file_counts_not_its_place(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "m.yaml", tmp_path / "b" / "m.yaml"
    for place in (first, second):
        place.parent.mkdir()
        place.write_text("the same")
    one, other = (Told(unit="V", table=str(place)).identity() for place in (first, second))
    assert one == other
    assert one["unit"] == "V"
    second.write_text("changed")
    assert Told(unit="V", table=str(second)).identity() != one
    assert Told().identity() == {}


def test_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="X has no option 'units'.*Did you mean 'unit'"):
        make_options(Told, {"units": "V"}, "X")
    with pytest.raises(ConfigError, match="unit: Input should be a valid string"):
        make_options(Told, {"unit": 3}, "X")
    with pytest.raises(ConfigError, match="can't be read"):
        make_options(Told, tmp_path / "none.yaml", "X")
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(ConfigError, match="expected names and values"):
        make_options(Told, tmp_path / "list.yaml", "X")
