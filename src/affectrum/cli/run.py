"""``affectrum run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrum.cli.console import make_console, print_json, print_table, progress

if TYPE_CHECKING:
    from affectrum.benchmark import ProgressEvent, RunReport

__all__ = ["execute", "print_scores", "run"]


def run(
    plan: Path,
    /,
    *,
    out: Path,
    workers: int = 1,
    threads: int = 2,
    quiet: bool = False,
    json: bool = False,
) -> int:
    """Run the missing cells of a plan and print the table. Stop it at any moment; run it again.

    Exit code 1 when a cell failed.

    Parameters
    ----------
    plan
        A plan.
    out
        The run's folder; what is there already is kept.
    workers
        Processes for preparing windows.
    threads
        Threads of the networks' arithmetic, at most as many as there are cores. They are small:
        more than two or four make them slower. Scores repeat bit for bit with the same number.
    quiet
        No progress display.
    json
        Print the scores as JSON.
    """
    report = execute(plan, out, workers=workers, threads=threads, quiet=quiet)
    print_scores(out, json=json)
    return 0 if report.ok else 1


def execute(
    plan: Path, out: Path, *, workers: int = 1, threads: int = 2, quiet: bool = False
) -> RunReport:
    """Run a plan with a progress display; print what was refused and what failed.

    Parameters
    ----------
    plan : Path
        The plan.
    out : Path
        The run's folder.
    workers : int
        Processes for preparing windows.
    threads : int
        Threads of the networks' arithmetic.
    quiet : bool
        No progress display.

    Returns
    -------
    RunReport
    """
    import torch

    from affectrum.benchmark import run_plan

    torch.set_num_threads(max(1, min(threads, torch.get_num_threads())))

    with progress("run", quiet=quiet) as advance:

        def show(event: ProgressEvent) -> None:
            inside = event.folds_done / event.folds_total if event.folds_total else 0.0
            if event.kind == "end":
                advance(event.cells_done, max(event.cells_total, 1), "")
                return
            if event.kind.startswith("cell-"):
                inside = 0.0  # the cell itself is counted now, or has not begun
            # In cells and parts of them, so that the bar moves within long cells too.
            done = event.cells_done + 0.99 * inside
            words = [event.method, event.fold, event.stage] if event.method else [event.message]
            if event.stage_total:
                words.append(f"{event.stage_done}/{event.stage_total}")
            advance(done, max(event.cells_total, 1), " · ".join(w for w in words if w))

        report = run_plan(plan, out, workers=workers, progress=show)
    console = make_console(stderr=True)
    for title, pairs in (("refused", report.refused), ("failed", report.failed)):
        for cell, reason in pairs:
            console.print(f"{title}: {cell.title}: {reason}", markup=False, soft_wrap=True)
    if not quiet:
        console.print(
            f"{len(report.computed)} cells computed, {len(report.kept)} kept, "
            f"{len(report.refused)} refused, {len(report.failed)} failed in {report.seconds:.0f} s",
            markup=False,
        )
    return report


def print_scores(out: Path, *, json: bool = False) -> None:
    """Print the score table of a run: each score with what was seen.

    Parameters
    ----------
    out : Path
        The run's folder.
    json : bool
        Print JSON instead.
    """
    from affectrum.benchmark import load_record, score_table

    # A run whose cells were all refused or failed has stored none yet.
    cells = load_record(out) if (out / "cells").is_dir() else []
    if not cells:
        if json:
            print_json([])
        else:
            make_console().print("No cell is finished.")
        return
    table = score_table(cells, n_replicates=1000, n_permutations=200)
    if json:
        print_json(table.to_dict(orient="records"))
        return
    for title, rows in table.groupby("task", sort=False):
        first = rows.iloc[0]
        mark = " (SIMULATED)" if bool(first["simulated"]) else ""
        print_table(
            ["method", "saw", "balanced accuracy", "95 % interval", "chance", "weights"],
            [
                [
                    row["method"] + (f" seed {row['seed']}" if row["seed"] else ""),
                    row["access"],
                    _score(row),
                    f"{row['interval_low']:.3f} – {row['interval_high']:.3f}",
                    f"{row['chance']:.3f}",
                    row["selection"],
                ]
                for _, row in rows.iterrows()
            ],
            title=(
                f"{title}"
                + ("" if str(first["protocol"]) in str(title) else f": {first['protocol']}")
                + f", {first['n_subjects']} subjects{mark}"
            ),
            right=["balanced accuracy", "95 % interval", "chance"],
        )


def _score(row: Any) -> str:
    return f"{row['balanced_accuracy']:.3f} ± {row['balanced_accuracy_sd']:.3f}"
