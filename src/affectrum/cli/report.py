"""``affectrum report``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import make_console

__all__ = ["report"]


def report(run: Path, /, *, out: Path | None = None) -> None:
    """Write a self-contained page from the stored predictions of a run.

    Parameters
    ----------
    run
        The folder of a run.
    out
        The HTML file; by default report.html in that folder.
    """
    from affectrum.report import write_report

    target = write_report(run, out if out is not None else run / "report.html")
    make_console().print(f"wrote {target}", markup=False, soft_wrap=True)
