"""The self-contained HTML page of a run."""

from __future__ import annotations

import json
import os
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrum.errors import StoreError
from affectrum.report import sections
from affectrum.report.blocks import Section
from affectrum.report.results import TaskResult, group_results
from affectrum.report.wording import SIMULATED

if TYPE_CHECKING:
    from affectrum.benchmark import CellResult

__all__ = ["page_title", "read_tasks", "render_page", "write_page", "write_report"]


def write_report(
    run: str | os.PathLike[str], out: str | os.PathLike[str], *, overview: bool = False
) -> Path:
    """Write the report of a run: one HTML file that needs nothing beside it.

    Parameters
    ----------
    run : path
        The folder of a run.
    out : path
        The HTML file; replaced whole.
    overview : bool
        Only what is about many tasks: map, ranks, findings, scores, audit. Figures of each task
        are left out.

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
    simulated = any(cell.simulated for cell in cells)
    if overview:
        parts = sections.build_overview(tasks)
    else:
        parts = sections.build(run, tasks, simulated=simulated)
    html = render_page(
        title=page_title(run),
        subtitle=sections.subtitle(tasks),
        parts=parts,
        simulated=simulated,
        footer=sections.footer(cells),
    )
    return write_page(Path(out), html)


def read_tasks(run: Path) -> tuple[list[CellResult], list[TaskResult]]:
    """Read a run's scores.

    Parameters
    ----------
    run : Path
        The folder of a run.

    Returns
    -------
    cells : list of CellResult
        Every finished cell.
    tasks : list of TaskResult
        Those that are scores, grouped.

    Raises
    ------
    StoreError
        If the folder holds no score.
    """
    from affectrum.benchmark import load_record

    cells = load_record(run)
    tasks = group_results(cells)
    if not tasks:
        raise StoreError(
            f"{run} holds no finished cell, so there is nothing to report. "
            "`affectrum run PLAN.yaml` computes them."
        )
    return cells, tasks


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


def page_title(run: Path) -> str:
    """Return the plan's name; a run without its plan has a general title."""
    try:
        name = json.loads((run / "plan.json").read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError):
        name = ""
    return str(name) if name else "Cross-corpus emotion recognition"


def write_page(target: Path, text: str) -> Path:
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
