"""``affectrum check``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import make_console, print_json

__all__ = ["check"]


def check(corpus: str, folder: Path, /, *, deep: bool = False, json: bool = False) -> int:
    """Explain a corpus folder: what was found, what is missing, broken or suspicious, how to fix.

    Exit code 1 when the folder can't be used.

    Parameters
    ----------
    corpus
        The corpus, for example SEED-IV.
    folder
        The folder as the vendor distributes it.
    deep
        Also read every trial (non-finite values, flat electrodes, implausible amplitudes).
    json
        Print JSON.
    """
    from affectrum.corpora import check_folder

    report = check_folder(corpus, folder, deep=deep)
    if json:
        print_json(report.to_dict())
    else:
        make_console().print(str(report), markup=False, soft_wrap=True)
    return 0 if report.usable else 1
