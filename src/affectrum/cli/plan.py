"""``affectrum plan``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrum.cli.console import print_json, print_table

if TYPE_CHECKING:
    from affectrum.benchmark.cost import Estimate

__all__ = ["plan"]

# More cells than this are shown by task and method.
_SHOWN = 60


def plan(plan: Path, /, *, out: Path | None = None, workers: int = 1, json: bool = False) -> None:
    """Show the cells a plan expands to, what they cost, and what is done; trains nothing.

    With --out the windows are prepared, because a cell's identity covers them. The cost is that of
    like cells which are done, else that of the same method elsewhere, else a rough rule.

    Parameters
    ----------
    plan
        A plan; or a paths file (corpora.yaml) for the field's map: every corpus against every
        other, each left out of all, every method that the access allows.
    out
        The run's folder, to see what is done and what it took.
    workers
        Processes that the work will be divided among.
    json
        Print JSON.
    """
    from affectrum.benchmark import expand
    from affectrum.benchmark.cost import estimate_costs, in_words
    from affectrum.benchmark.field_map import plan_or_map
    from affectrum.benchmark.inputs import PlanWindows

    loaded = plan_or_map(plan)
    prints = PlanWindows(loaded, workers=workers).fingerprints() if out is not None else None
    cells = expand(loaded, prints)
    costs = estimate_costs(cells, out)
    rows: list[dict[str, Any]] = [
        {
            "task": cell.task.title,
            "method": cell.method.title,
            "control": cell.control or None,
            "permutation": cell.permutation or None,
            "seed": cell.seed,
            "state": "done" if cost.done else "to do",
            "seconds": round(cost.seconds, 1),
            "basis": cost.basis,
            "cell": cell.digest,
        }
        for cell, cost in zip(cells, costs, strict=True)
    ]
    if json:
        print_json(rows)
        return
    left = [cost for cost in costs if not cost.done]
    share = in_words(sum(cost.seconds for cost in left) / max(1, workers))
    told = [f"{len(cells) - len(left)} done, {len(left)} to do"] if out is not None else []
    if left:
        told.append(
            f"about {share}"
            + (f" on {workers} workers" if workers > 1 else "")
            + f" ({_bases(left)})"
        )
    caption = ", ".join(told) + (
        "." if out is not None else ". Give --out RUN to see what is done."
    )
    if len(rows) <= _SHOWN:
        shown = [[r["task"], _who(r), r["seed"], r["state"], in_words(r["seconds"])] for r in rows]
        columns = ["task", "method", "seed", "state", "cost"]
    else:
        shown = [
            [
                task,
                who,
                len(group),
                sum(r["state"] == "done" for r in group),
                in_words(sum(r["seconds"] for r in group if r["state"] != "done")),
            ]
            for (task, who), group in _grouped(rows)
        ]
        columns = ["task", "method", "cells", "done", "cost of the rest"]
    print_table(
        columns,
        shown,
        title=f"plan {loaded.name}: {len(rows)} cells",
        right=["seed", "cells", "done", "cost", "cost of the rest"],
        caption=caption,
    )


def _who(row: dict[str, Any]) -> str:
    return str(row["method"]) + (f" · {row['control']}" if row["control"] else "")


def _grouped(
    rows: Iterable[dict[str, Any]],
) -> Iterable[tuple[tuple[str, str], list[dict[str, Any]]]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["task"], _who(row)), []).append(row)
    return groups.items()


def _bases(costs: list[Estimate]) -> str:
    """Say what the estimate rests on."""
    words = {
        "like cells": "by like cells",
        "same method": "by the same method on other tasks",
        "rule": "by a rough rule",
    }
    counts = {basis: sum(cost.basis == basis for cost in costs) for basis in words}
    return "; ".join(f"{words[basis]}: {count}" for basis, count in counts.items() if count)
