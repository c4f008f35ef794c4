"""``affectrum report``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import make_console

__all__ = ["report"]


def report(
    run: Path, /, *, out: Path | None = None, overview: bool = False, latex: bool = False
) -> None:
    """Write a self-contained page from the stored predictions of a run.

    Parameters
    ----------
    run
        The folder of a run.
    out
        The HTML file; by default report.html in that folder.
    overview
        Only what is about many tasks: the map of transfers, ranks, findings, scores, audit.
    latex
        Also write the tables for a paper, beside the page with the ending .tex.
    """
    from affectrum.report import write_latex, write_report

    target = out if out is not None else run / "report.html"
    written = [write_report(run, target, overview=overview)]
    if latex:
        written.append(write_latex(run, target.with_suffix(".tex")))
    for path in written:
        make_console().print(f"wrote {path}", markup=False, soft_wrap=True)
