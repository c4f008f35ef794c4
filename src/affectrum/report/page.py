"""The self-contained HTML page of a run."""

from __future__ import annotations

import json
import os
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from affectrum.errors import StoreError
from affectrum.report import sections
from affectrum.report.blocks import Section
from affectrum.report.results import group_results
from affectrum.report.wording import SIMULATED

__all__ = ["render_page", "write_report"]


def write_report(run: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Write the report of a run: one HTML file that needs nothing beside it.

    Parameters
    ----------
    run : path
        The folder of a run.
    out : path
        The HTML file; replaced whole.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StoreError
        If the folder holds no finished cell, or the file can't be written.
    """
    from affectrum.benchmark import load_record

    run = Path(run)
    cells = load_record(run)
    if not cells:
        raise StoreError(
            f"{run} holds no finished cell, so there is nothing to report. "
            "`affectrum run PLAN.yaml` computes them."
        )
    tasks = group_results(cells)
    simulated = any(cell.simulated for cell in cells)
    parts = sections.build(run, tasks, simulated=simulated)
    html = render_page(
        title=_title(run),
        subtitle=sections.subtitle(tasks),
        parts=parts,
        simulated=simulated,
        footer=sections.footer(cells),
    )
    return _write(Path(out), html)


def render_page(
    *, title: str, subtitle: str, parts: list[Section], simulated: bool, footer: str
) -> str:
    """Fill the template.

    Parameters
    ----------
    title, subtitle : str
        Plain text.
    parts : list of Section
        In order; empty ones are left out.
    simulated : bool
        Whether to show the notice of simulated data.
    footer : str
        Plain text.

    Returns
    -------
    str
        The page.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    folder = files("affectrum.report") / "templates"
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8"))
    context: dict[str, Any] = {
        "title": title,
        "subtitle": subtitle,
        "sections": [part for part in parts if part.blocks],
        "simulated": simulated,
        "simulated_text": SIMULATED,
        "css": Markup((folder / "page.css").read_text(encoding="utf-8")),
        "footer": footer,
    }
    return template.render(context)


def _title(run: Path) -> str:
    """Return the plan's name; a run without its plan has a general title."""
    try:
        name = json.loads((run / "plan.json").read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError):
        name = ""
    return str(name) if name else "Cross-corpus emotion recognition"


def _write(target: Path, text: str) -> Path:
    """Write the page under a temporary name, then put it in place."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, 0o644)
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(
            f"The report can't be written to {target}: {error.strerror}. Choose another place "
            "with --out."
        ) from error
    return target
