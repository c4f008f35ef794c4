"""What the commands share: tables, JSON, and a progress display."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Advance", "format_bytes", "make_console", "print_json", "print_table", "progress"]

Advance = Callable[[float, float, str], None]


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that keeps whole lines when its output is not a terminal."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, width=160)
    return console


def print_json(value: Any) -> None:
    """Print `value` as JSON that any program can read (missing numbers become null)."""
    json.dump(_plain(value), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | bool):
        return value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return str(value)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    right: Iterable[str] = (),
    caption: str | None = None,
) -> None:
    """Print a table for people.

    Parameters
    ----------
    columns : sequence of str
        Column headings.
    rows : iterable of sequences
        Cells; None is shown as an en dash.
    title, caption : str, optional
        Lines above and below.
    right : iterable of str
        The columns to align right (numbers).
    """
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, caption=caption, box=SIMPLE_HEAD, title_justify="left")
    table.title_style = "bold"
    table.caption_justify = "left"
    flush_right = set(right)
    for column in columns:
        table.add_column(column, justify="right" if column in flush_right else "left")
    for row in rows:
        table.add_row(*("–" if cell is None else escape(str(cell)) for cell in row))
    make_console().print(table)


def format_bytes(count: float) -> str:
    """Return `count` bytes as people write them, for example ``'1.2 GB'``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


@contextmanager
def progress(description: str, *, quiet: bool = False) -> Iterator[Advance]:
    """Show progress with rate and time left on standard error.

    Yields
    ------
    callable
        ``advance(done, total, message)``; amounts in any unit, as long as it stays the same.

    Notes
    -----
    On a terminal a bar is drawn; elsewhere (a log file, CI) one plain line is printed at every
    tenth of the work, so that a log shows life without a thousand lines.
    """
    if quiet:
        yield lambda done, total, message: None
        return
    console = make_console(stderr=True)
    if not console.is_terminal:
        yield _plain_progress(description)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[message]}"),
        console=console,
    ) as bar:
        task = bar.add_task(description, total=None, message="", rate="")

        def advance(done: float, total: float, message: str) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:.3g}/s" if speed else ""
            bar.update(task, completed=done, total=total, message=message, rate=rate)

        yield advance


def _amount(number: float) -> str:
    return f"{number:.0f}" if number == int(number) else f"{number:.1f}"


def _plain_progress(description: str) -> Advance:
    import time

    start = time.monotonic()
    last_tenth = -1
    # Before the first word of the work there may be much to get ready, or work of an earlier run.
    first: tuple[float, float] | None = None

    def advance(done: float, total: float, message: str) -> None:
        nonlocal last_tenth, first
        began, begun = (start, 0.0) if first is None or done <= first[1] else first
        if first is None:
            first = (time.monotonic(), done)
        tenth = int(10 * done / total) if total else 0
        if tenth == last_tenth:
            return
        last_tenth = tenth
        elapsed = time.monotonic() - start
        left = ""
        if begun < done < total:
            seconds = (time.monotonic() - began) * (total - done) / (done - begun)
            left = f", about {seconds:.0f} s left"
        print(
            f"{description}: {_amount(done)} of {_amount(total)} ({elapsed:.0f} s{left}) "
            f"{message}".rstrip(),
            file=sys.stderr,
            flush=True,
        )

    return advance
