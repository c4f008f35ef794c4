"""``affectrum plan``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import print_json, print_table

__all__ = ["plan"]


def plan(plan: Path, /, *, out: Path | None = None, json: bool = False) -> None:
    """Show the cells a plan expands to and what is already done; trains nothing.

    With --out the windows are prepared, because a cell's identity covers them.

    Parameters
    ----------
    plan
        A plan.
    out
        The run's folder, to see what is done.
    json
        Print JSON.
    """
    from affectrum.benchmark import expand, load_plan
    from affectrum.benchmark.inputs import PlanWindows
    from affectrum.benchmark.record import is_complete

    loaded = load_plan(plan)
    prints = PlanWindows(loaded).fingerprints() if out is not None else None
    rows = [
        {
            "task": cell.task.title,
            "method": cell.method.title,
            "seed": cell.seed,
            "state": "done" if out is not None and is_complete(out, cell.digest) else "to do",
            "cell": cell.digest,
        }
        for cell in expand(loaded, prints)
    ]
    if json:
        print_json(rows)
        return
    print_table(
        ["task", "method", "seed", "state"],
        [[row["task"], row["method"], row["seed"], row["state"]] for row in rows],
        title=f"plan {loaded.name}: {len(rows)} cells",
        right=["seed"],
        caption=None if out is not None else "Give --out RUN to see which are done.",
    )
