"""Tables for a paper: one per protocol, with what a reader must know in the caption."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from affectrum.benchmark.table import describe_access
from affectrum.report.findings import find
from affectrum.report.page import page_title, read_tasks, write_page
from affectrum.report.panels import Panel, make_panels
from affectrum.report.results import METRIC, MethodResult, TaskResult, primary
from affectrum.report.wording import points

__all__ = ["escape", "write_latex"]

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    # A line that begins with a bracket would be read as an option of the line break before it.
    "[": "{[}",
    "]": "{]}",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "→": r"$\rightarrow$",
    "±": r"$\pm$",
    "–": "--",
    "·": r"$\cdot$",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
}
# More columns than these don't fit a page: the table goes on below.
_COLUMNS = 5
_ROWS = 40


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is.

    Parameters
    ----------
    text : str
        Plain text; what is not ASCII and has no command of its own becomes a question mark, line
        breaks become spaces.

    Returns
    -------
    str
    """
    out = []
    for letter in text:
        if letter in _ESCAPES:
            out.append(_ESCAPES[letter])
        elif letter.isspace():
            out.append(" ")
        elif letter.isascii():
            out.append(letter if letter.isprintable() else "?")
        else:
            out.append(_accent(letter))
    return "".join(out)


def _accent(letter: str) -> str:
    """An accented Latin letter as a command, anything else as a question mark."""
    import unicodedata

    marks = {"\u0301": "'", "\u0300": "`", "\u0302": "^", "\u0308": '"', "\u0303": "~"}
    parts = unicodedata.normalize("NFD", letter)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in marks:
        return f"\\{marks[parts[1]]}{{{parts[0]}}}"
    return "?"


def write_latex(run: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    r"""Write the tables of a run for a paper.

    Parameters
    ----------
    run : path
        The folder of a run.
    out : path
        The ``.tex`` file, for ``\input``; needs the package booktabs. Replaced whole.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StoreError
        If the folder holds no finished cell, or the file can't be written.
    """
    run = Path(run)
    cells, tasks = read_tasks(run)
    panels = make_panels(primary(tasks))
    version = cells[0].meta.get("versions", {}).get("affectrum", "")
    lines = [
        f"% {_comment(page_title(run))}: made by Affectrum {_comment(str(version))} from the",
        f"% stored predictions of {len(cells)} cells. Needs \\usepackage{{booktabs}}.",
    ]
    if any(panel.simulated for panel in panels):
        lines.append("% SIMULATED DATA: no number here is a finding about people.")
    for number, panel in enumerate(panels, start=1):
        lines += ["", *_scores(panel, number)]
        if len(panel.pairs) and not panel.biased:
            lines += ["", *_differences(panel, number)]
    return write_page(Path(out), "\n".join(lines) + "\n")


def _comment(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _scores(panel: Panel, number: int) -> list[str]:
    lines = [r"\begin{table}", r"\centering", r"\small"]
    lines.append(f"\\caption{{{_caption(panel)}}}")
    lines.append(f"\\label{{tab:affectrum-{number}}}")
    for start in range(0, len(panel.tasks), _COLUMNS):
        tasks = panel.tasks[start : start + _COLUMNS]
        if start:
            lines += [r"", r"\medskip", r""]
        lines.append(f"\\begin{{tabular}}{{l{'r' * len(tasks)}}}")
        lines.append(r"\toprule")
        lines.append(_row(["", *(escape(panel.short(task)) for task in tasks)]))
        subs = [panel.places[panel.tasks.index(task)].sub for task in tasks]
        if any(subs):
            lines.append(_row(["", *(escape(sub) for sub in subs)]))
        lines.append(r"\midrule")
        for label in panel.methods:
            found = [(task, panel.method(task, label)) for task in tasks]
            lines.append(_row([escape(label), *(_score(panel, t, m) for t, m in found)]))
            lines.append(_row(["", *(_interval(m) for _, m in found)]))
        lines.append(r"\midrule")
        lines.append(_row(["chance", *(points(100 / len(t.classes) / 100) for t in tasks)]))
        lines += [r"\bottomrule", r"\end{tabular}"]
    return [*lines, r"\end{table}"]


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _score(panel: Panel, task: TaskResult, method: MethodResult | None) -> str:
    if method is None:
        return "--"
    scores = method.subjects[METRIC].to_numpy(dtype=float)
    spread = float(np.nanstd(scores, ddof=1)) if len(scores) > 1 else float("nan")
    value = points(method.interval.value)
    if _stands_out(panel, task, method):
        value = f"\\textbf{{{value}}}"
    return f"{value} $\\pm$ {points(spread)}" if spread == spread else value


def _interval(method: MethodResult | None) -> str:
    if method is None:
        return ""
    low, high = points(method.interval.low), points(method.interval.high)
    return f"{{\\scriptsize [{low}, {high}]}}"


def _stands_out(panel: Panel, task: TaskResult, method: MethodResult) -> bool:
    """Whether it is supported that the method is better than every other one of the task."""
    if panel.biased or len(task.methods) < 2:
        return False
    rows = panel.pairs[panel.pairs["task"] == panel.tasks.index(task)]
    better = 0
    for row in rows.to_dict(orient="records"):
        sign = {row["first"]: 1.0, row["second"]: -1.0}.get(method.label, 0.0)
        better += bool(row["supported"]) and sign * float(row["difference"]) > 0
    return better == len(task.methods) - 1


def _caption(panel: Panel) -> str:
    first = panel.tasks[0]
    access = "; ".join(
        dict.fromkeys(f"{m.label}: {describe_access(m.meta)}" for m in first.methods)
    )
    parts = [
        "SIMULATED DATA, no finding about people." if panel.simulated else "",
        f"Balanced accuracy in per cent, mean ± SD over subjects, with the 95 % interval for other "
        f"subjects and clips. Protocol: {panel.title}.",
        panel.biased
        or "Bold: supported as better than every other method of the task (p < 0.05 after "
        "correction over all differences of the table).",
        f"Learnt from: {access}.",
    ]
    return escape(" ".join(part for part in parts if part))


def _differences(panel: Panel, number: int) -> list[str]:
    found = find(panel)
    rows = [*found.supported.to_dict(orient="records")]
    rows += [*found.unsupported.to_dict(orient="records")]
    n = len(rows)
    rows = rows[:_ROWS]
    lines = [r"\begin{table}", r"\centering", r"\small"]
    words = "SIMULATED DATA, no finding about people. " if panel.simulated else ""
    words += (
        f"Differences between methods, {panel.title}, in points of balanced accuracy with the 95 % "
        f"interval; p after correction over all {n} tested; d: paired Cohen's d. What "
        "is not supported is no proof of equality."
        + (f" The {n - len(rows)} with the largest p are left out." if n > len(rows) else "")
    )
    lines.append(f"\\caption{{{escape(words)}}}")
    lines.append(f"\\label{{tab:affectrum-{number}-differences}}")
    lines += [r"\begin{tabular}{lllrrrrl}", r"\toprule"]
    lines.append(_row(["task", "higher", "lower", "points", "interval", "$p$", "$d$", ""]))
    lines.append(r"\midrule")
    for row in rows:
        low, high = points(float(row["low"])), points(float(row["high"]))
        p, d = float(row["p_holm"]), float(row["effect_size"])
        lines.append(
            _row(
                [
                    escape(panel.short(panel.tasks[int(row["task"])])),
                    escape(str(row["first"])),
                    escape(str(row["second"])),
                    escape(points(float(row["difference"]))),
                    escape(f"[{low}, {high}]"),
                    ("$<$0.001" if p < 0.001 else f"{p:.3f}") if p == p else "--",
                    f"{d:.2f}" if d == d else "--",
                    "supported" if row["supported"] else "",
                ]
            )
        )
    return [*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
