"""Tables, JSON and progress, as people and programs see them."""

from __future__ import annotations

import io
import json
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectrum.cli import console
from affectrum.cli.console import format_bytes, print_json, print_table, progress


def printed(value, capsys) -> object:
    print_json(value)
    return json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))


def test_json_of_everything_a_table_holds(capsys) -> None:
    frame = pd.DataFrame(
        {
            "text": pd.Series(["ä", None], dtype="str"),
            "whole": pd.Series([1, None], dtype="Int64"),
            "number": [0.5, np.inf],
            "flag": [True, False],
            "list": [[1.0, np.nan], (2, 3)],
            "when": [pd.NaT, pd.Timestamp("2026-01-02")],
        }
    )
    first, second = printed(frame.to_dict(orient="records"), capsys)
    assert first == {
        "text": "ä",
        "whole": 1,
        "number": 0.5,
        "flag": True,
        "list": [1.0, None],
        "when": None,
    }
    assert second["text"] is None
    assert second["whole"] is None
    assert second["number"] is None
    assert second["flag"] is False
    assert second["list"] == [2, 3]
    assert second["when"].startswith("2026-01-02")


def test_json_of_arrays(capsys) -> None:
    value = {1: np.float32(0.5), "a": np.array([[1, 2]]), "n": np.array([np.nan, -np.inf, 0.0])}
    assert printed(value, capsys) == {"1": 0.5, "a": [[1, 2]], "n": [None, None, 0.0]}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_plain_value_is_json_without_nan(value) -> None:
    text = json.dumps(console._plain(value), allow_nan=False)

    def same(a, b) -> bool:
        if isinstance(a, float) and not np.isfinite(a):
            return b is None
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
        if isinstance(a, list):
            return len(a) == len(b) and all(map(same, a, b))
        return a == b

    assert same(value, json.loads(text))


def test_a_table_shows_text_as_it_is(capsys) -> None:
    print_table(["name", "n"], [["[bold]x[/bold]", 1], [None, 22]], title="t", right=["n"])
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert "–" in out
    one, two = (line for line in out.splitlines() if line.rstrip().endswith(("1", "22")))
    assert one.rstrip().endswith("  1")
    assert len(one.rstrip()) == len(two.rstrip())
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (4.2e12, "4.2 TB")],
)
def test_bytes_as_people_write_them(count: float, text: str) -> None:
    assert format_bytes(count) == text


def test_a_log_gets_one_line_for_every_tenth(capsys) -> None:
    with progress("work") as advance:
        for number in range(1, 1001):
            advance(number, 1000, f"item {number}")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 11
    assert lines[0].startswith("work: 1 of 1000 (0 s, about ")
    assert lines[-1] == "work: 1000 of 1000 (0 s) item 1000"
    assert "\x1b" not in err


def test_parts_of_a_unit_are_shown(capsys) -> None:
    with progress("run") as advance:
        advance(0, 0, "")
        advance(1.26, 4, "half way")
    first, second = capsys.readouterr().err.splitlines()
    assert first == "run: 0 of 0 (0 s)"
    assert second.startswith("run: 1.3 of 4 (")


def test_time_left_is_told_from_the_rate(capsys, monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress("work") as advance:
        now[0] += 30
        advance(25, 100, "a")
    assert capsys.readouterr().err == "work: 25 of 100 (30 s, about 90 s left) a\n"


def test_time_left_leaves_out_what_was_there_before(capsys, monkeypatch) -> None:
    """A resumed run begins at 40 of 100 after 20 s of reading: 2 s for each 10 from then on."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress("work") as advance:
        now[0] += 20
        advance(40, 100, "a")
        now[0] += 2
        advance(50, 100, "b")
    assert capsys.readouterr().err.splitlines()[1] == "work: 50 of 100 (22 s, about 10 s left) b"


def test_quiet_says_nothing(capsys) -> None:
    with progress("work", quiet=True) as advance:
        advance(1, 2, "x")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(monkeypatch) -> None:
    from rich.console import Console

    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(console, "make_console", lambda **_: terminal)
    with progress("work") as advance:
        advance(1, 4, "first item")
        advance(4, 4, "last item")
    shown = screen.getvalue()
    assert "work" in shown
    assert "4/4" in shown
    assert "last item" in shown
