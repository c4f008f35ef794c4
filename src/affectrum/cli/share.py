"""``affectrum run --share`` and ``--merge``: results without signals, exchanged between labs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affectrum.cli.console import make_console

__all__ = ["merge", "share"]


def share(run: Path, file: Path, *, key: Path | None = None) -> None:
    """Write the scores of a run as one file, and say what is in it.

    Parameters
    ----------
    run : Path
        The run's folder.
    file : Path
        The file to write.
    key : Path, optional
        The secret that labs agreed on.
    """
    from affectrum.benchmark.share import share_run

    report = share_run(run, file, key=key)
    console = make_console(stderr=True)
    console.print(
        f"wrote {report.file}: {report.cells} scores and {report.controls} controls, no signals, "
        f"identifiers hashed with key {report.key}",
        markup=False,
        soft_wrap=True,
    )
    if not report.matched:
        console.print(
            "No --share-key was given: nobody can compare these results in pairs with those of "
            "another file.",
            markup=False,
            soft_wrap=True,
        )


def merge(files: Sequence[Path], out: Path) -> bool:
    """Join shared files into a run's folder, and say what was refused.

    Parameters
    ----------
    files : sequence of Path
        The files.
    out : Path
        The folder.

    Returns
    -------
    bool
        Whether no file was refused.
    """
    from affectrum.benchmark.merge import merge_files

    report = merge_files(files, out)
    console = make_console(stderr=True)
    for file, new in report.joined:
        console.print(f"joined {file}: {new} new scores", markup=False, soft_wrap=True)
    if report.controls:
        console.print(f"{report.controls} new controls of these scores", markup=False)
    for file, reason in report.refused:
        # A stranger's words must not steer the terminal.
        words = "".join(c if c.isprintable() else "?" for c in reason)
        console.print(f"refused {file}: {words}", markup=False, soft_wrap=True)
    for caution in report.cautions:
        console.print(f"note: {caution}", markup=False, soft_wrap=True)
    return report.ok
