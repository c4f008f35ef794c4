"""``affectrum check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from affectrum.cli.console import make_console, print_json

if TYPE_CHECKING:
    from affectrum.corpora import CheckReport

__all__ = ["check"]


def check(
    corpus: str,
    folder: Path | None = None,
    /,
    *,
    form: str = "auto",
    options: Path | None = None,
    deep: bool = False,
    json: bool = False,
) -> int:
    """Explain a corpus folder: what was found, what is missing, broken or suspicious, how to fix.

    Without the corpus's name (`affectrum check FOLDER`) it tells which corpus the folder is.
    Exit code 1 when the folder can't be used.

    Parameters
    ----------
    corpus
        The corpus, for example SEED-IV; may be left out.
    folder
        The folder as the vendor distributes it.
    form
        Which of the vendor's forms to look at, where there are several (auto takes the best one).
    options
        A YAML file with what the reader has to be told (see `affectrum corpora NAME`).
    deep
        Also read every trial (non-finite values, flat electrodes, implausible amplitudes).
    json
        Print JSON.
    """
    from affectrum.corpora import check_folder

    if folder is None:
        folder = Path(corpus)
        found = _recognised(folder)
        if len(found) != 1:
            return _explain(folder, found, json=json)
        (corpus,) = found
    report = check_folder(corpus, folder, form=form, deep=deep, options=options)
    if json:
        print_json(report.to_dict())
    else:
        _print(report)
    return 0 if report.usable else 1


def _print(report: CheckReport) -> None:
    make_console().print(str(report), markup=False, soft_wrap=True)


def _recognised(folder: Path) -> dict[str, list[str]]:
    """Return the corpora that a folder holds, with the folders of their forms."""
    from affectrum.corpora import reader, recognise

    return {
        name: sorted({str(place) for place in reader(name).find_forms(folder).values()})
        for name in recognise(folder)
    }


def _explain(folder: Path, found: dict[str, list[str]], *, json: bool) -> int:
    """Say why no single corpus was checked; the exit code is that of a failure."""
    from affectrum import catalog
    from affectrum.corpora import names

    lines = []
    if found:
        what = "holds several corpora; name the one to check"
        lines = [
            f'affectrum check {name} "{places[0] if len(places) == 1 else folder}"'
            for name, places in found.items()
        ]
    elif not folder.exists():
        what = "does not exist"
        if catalog.is_known(str(folder)):
            what += f": {folder} is a corpus's name; give its folder behind it"
    elif not folder.is_dir():
        what = "is a file; give the folder of a corpus"
    else:
        what = "is no corpus that is known here, nor does it hold one two levels below"
        entries = sorted(entry.name for entry in folder.iterdir())[:8]
        lines = [
            f"it holds {', '.join(entries) or 'nothing'}",
            f"known are {', '.join(names())}; `affectrum corpora NAME` shows the expected folder",
            "`affectrum check NAME FOLDER` says what is missing for a certain corpus",
        ]
        if (folder / "dataset_description.json").is_file():
            lines.append(
                "it is a BIDS data set: `affectrum check BIDS FOLDER --options FILE.yaml` reads "
                "any of them by a mapping (docs/own-data.md)"
            )
    if json:
        told = {"folder": str(folder), "usable": False, "recognised": found, "explanation": what}
        print_json(told)
    else:
        text = "\n".join([f"{folder} {what}.", *(f"  - {line}" for line in lines)])
        make_console().print(text, markup=False, soft_wrap=True)
    return 1
