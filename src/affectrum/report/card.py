"""The section "What did it decode?": each score beside its controls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from affectrum.evaluation.card import DecodeCard, decode_card
from affectrum.report.blocks import Section, figure, heading, listing, text
from affectrum.report.figures_card import decode_figure
from affectrum.report.results import METRIC, MethodResult, TaskResult

if TYPE_CHECKING:
    from affectrum.benchmark import CellResult

__all__ = ["build_cards", "card_of"]

# More tasks than these get the card of their best method only.
_ALL_METHODS = 3


def build_cards(run: Path, tasks: Sequence[TaskResult], *, simulated: bool) -> Section:
    """Build the section from a run's control cells.

    Parameters
    ----------
    run : Path
        The run's folder.
    tasks : sequence of TaskResult
        Those that get cards.
    simulated : bool
        Marks the figures.

    Returns
    -------
    Section
        Without blocks where the run has no control cell.
    """
    section = Section("decoded", "What did it decode?", "Controls")
    controls = _controls(run)
    if not controls:
        return section
    section.blocks.append(
        text(
            "A score can come from many things that are not emotion. Each line is a control that "
            "was trained and tested on the same folds: with permuted labels, without the signal, "
            "on muscles alone, or on the calibration trials alone. Only what the intervals support "
            "is said.",
            note=True,
        )
    )
    drawn = 0
    for task in tasks:
        mine = controls.get(_key(task.meta), {})
        methods = [m for m in task.methods if any(label == m.label for _, label in mine)]
        if len(tasks) > _ALL_METHODS:
            methods = sorted(methods, key=lambda method: -method.interval.value)[:1]
        for method in methods:
            card = card_of(method, mine)
            title = f"{task.title}: {method.label}"
            section.blocks.append(heading(title))
            svg = decode_figure(card, simulated=simulated)
            caption = f"{title}. The score and its controls, on the same folds."
            section.blocks.append(figure(svg, caption, f"Decode card, {title}"))
            section.blocks.append(listing(card.sentences))
            if card.missing:
                section.blocks.append(
                    text(f"Not computed here: {'; '.join(card.missing)}.", note=True)
                )
            drawn += 1
    if not drawn:
        section.blocks.clear()
    return section


def card_of(method: MethodResult, controls: dict[tuple[str, str], list[CellResult]]) -> DecodeCard:
    """Return the card of one method.

    Parameters
    ----------
    method : MethodResult
        The method under its task.
    controls : dict of (str, str) to list of CellResult
        Control cells of the task by the control's name and the method's label, one for each
        permutation of a null; controls with a model of their own have an empty label.

    Returns
    -------
    DecodeCard
    """
    from affectrum.benchmark.controls import CONTROLS

    found = {}
    for name, info in CONTROLS.items():
        cells = controls.get((name, method.label if info.per_method else ""))
        if cells:
            found[name] = [cell.evaluable() for cell in cells]
    own = ("target-only", "clip-probe", "film-probe")  # exist under some protocols only
    return decode_card(
        method.predictions[0],
        found,
        titles={"score": method.label, **{name: info.title for name, info in CONTROLS.items()}},
        expected=[name for name in CONTROLS if name not in own or name in found],
        trained=_trained(method.cells[0]),
        metric=METRIC,
    )


def _controls(run: Path) -> dict[str, dict[tuple[str, str], list[CellResult]]]:
    from affectrum.benchmark import load_record
    from affectrum.benchmark.controls import CONTROLS

    found: dict[str, dict[tuple[str, str], list[CellResult]]] = {}
    for cell in load_record(run, controls=True):
        name = str(cell.meta.get("control", ""))
        if name not in CONTROLS:
            continue
        label = str(cell.meta["method"]["label"]) if CONTROLS[name].per_method else ""
        known = found.setdefault(_key(cell.meta), {}).setdefault((name, label), [])
        number = int(cell.meta.get("permutation", 0))
        if not known:
            known.append(cell)
        elif number and cell.meta["seed"] == known[0].meta["seed"]:
            if not known[0].meta.get("permutation", 0):
                known.clear()  # the balanced one is not one of the random ones
            if all(other.meta["permutation"] != number for other in known):
                known.append(cell)
    return found


def _key(meta: dict[str, Any]) -> str:
    """What a task is, whatever it is called; its windows too."""
    task = {k: v for k, v in meta["task"].items() if k not in ("name", "methods")}
    content = [task, meta["protocol"], meta.get("fingerprints")]
    return json.dumps(content, sort_keys=True, default=str)


def _trained(cell: CellResult) -> pd.DataFrame:
    """Trials that each fold learnt from, with the fold's number."""
    from affectrum.benchmark.audits import role_tables

    parts = [
        table.assign(fold=number)
        for number, tables in enumerate(role_tables(cell.identifiers, len(cell.meta["folds"])))
        for role, table in tables.items()
        if role in ("source", "calibration")
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
