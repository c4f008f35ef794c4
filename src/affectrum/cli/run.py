"""``affectrum run``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from affectrum.cli.console import make_console, print_json, print_table, progress
from affectrum.cli.share import merge as merge_results
from affectrum.cli.share import share as share_results
from affectrum.errors import ConfigError

if TYPE_CHECKING:
    from affectrum.benchmark import ProgressEvent, RunReport

__all__ = ["execute", "print_scores", "run"]


def run(
    plan: Path | None = None,
    /,
    *,
    out: Path,
    engine: Literal["local", "dask", "slurm"] = "local",
    workers: int = 1,
    threads: int | None = None,
    device: list[str] | None = None,
    option: list[str] | None = None,
    imports: list[str] | None = None,
    share: Path | None = None,
    share_key: Path | None = None,
    merge: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    quiet: bool = False,
    json: bool = False,
) -> int:
    """Run the missing cells of a plan and print the table. Stop it at any moment; run it again.

    Several runs may share a folder: each cell is computed by one of them. Exit code 1 when a cell
    failed, or a file was refused.

    Parameters
    ----------
    plan
        A plan; or a paths file (corpora.yaml) for the field's map, see `affectrum plan`. Leave it
        out to share or merge what is there.
    out
        The run's folder; what is there already is kept.
    engine
        local: this machine; dask: a Dask cluster, made here or given by --option
        scheduler=ADDRESS; slurm: jobs, with --option partition=NAME and so on.
    workers
        Processes, Dask workers or Slurm jobs that compute cells; also for preparing windows.
    threads
        Threads of each process's arithmetic: 2 for one worker, else 1, at most as many as there
        are cores. The networks are small: more than two or four make them slower. Scores repeat
        bit for bit with the same number.
    device
        Graphics processors that workers are placed on in turn, as CUDA names them; default: all.
    option
        KEY=VALUE of the engine.
    imports
        Modules that register methods of your own.
    share
        Write the run's scores as this one file for other labs: predictions, certificates and
        fingerprints, identifiers hashed, no signals.
    share_key
        A file with a secret that the labs agreed on; only results hashed with one secret can be
        compared in pairs.
    merge
        Join files of --share into one table in OUT; files whose audit fails, or that were changed,
        are refused.
    quiet
        No progress display.
    json
        Print the scores as JSON.
    """
    if plan is None:
        return _exchange(out, share, share_key, merge, json=json)
    if merge:
        raise ConfigError("Joined results have a folder of their own: give --merge without a plan.")
    report = execute(
        plan,
        out,
        engine=engine,
        workers=workers,
        threads=threads,
        devices=device,
        options=_options(option or []),
        imports=imports or [],
        quiet=quiet,
    )
    print_scores(out, json=json)
    if share is not None:
        share_results(out, share, key=share_key)
    return 0 if report.ok else 1


def _exchange(
    out: Path, share: Path | None, key: Path | None, merge: list[Path] | None, *, json: bool
) -> int:
    """Share what is there, or join files."""
    if (share is None) == (not merge):
        raise ConfigError(
            "Give a plan to run, or --merge FILE ... to join shared results, or --share FILE to "
            "share what OUT holds."
        )
    if share is not None:
        share_results(out, share, key=key)
        return 0
    whole = merge_results(merge or [], out)
    print_scores(out, json=json)
    return 0 if whole else 1


def execute(
    plan: Path,
    out: Path,
    *,
    engine: str = "local",
    workers: int = 1,
    threads: int | None = None,
    devices: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    imports: Sequence[str] = (),
    quiet: bool = False,
) -> RunReport:
    """Run a plan with a progress display; print what was refused and what failed.

    Parameters
    ----------
    plan : Path
        The plan, or a paths file.
    out : Path
        The run's folder.
    engine, workers, devices, options, imports
        As in `affectrum.benchmark.run_plan`.
    threads : int, optional
        Threads of the networks' arithmetic; 2 for one worker and 1 for each of several.
    quiet : bool
        No progress display.

    Returns
    -------
    RunReport
    """
    import importlib
    import os

    from affectrum.benchmark import run_plan
    from affectrum.benchmark.field_map import plan_or_map

    if threads is None:
        threads = 2 if workers == 1 and engine == "local" else 1
    if engine == "local":
        threads = max(1, min(threads, os.cpu_count() or 1))
    for name in imports:
        importlib.import_module(name)
    with progress("run", quiet=quiet) as advance:

        def show(event: ProgressEvent) -> None:
            if event.kind == "end":
                advance(event.cells_done, max(event.cells_total, 1), "")
                return
            # In cells and parts of them, so that the bar moves within long cells too.
            done = event.cells_done + 0.99 * event.cells_begun
            words = [event.method, event.fold, event.stage] if event.method else [event.message]
            if event.stage_total:
                words.append(f"{event.stage_done}/{event.stage_total}")
            advance(done, max(event.cells_total, 1), " · ".join(w for w in words if w))

        report = run_plan(
            plan_or_map(plan),
            out,
            engine=engine,
            workers=workers,
            threads=threads,
            devices=devices,
            options=options,
            imports=imports,
            progress=show,
        )
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


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    """Read KEY=VALUE; numbers become numbers."""
    from affectrum.errors import ConfigError

    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"--option takes KEY=VALUE; received {pair!r}.")
        found[name] = int(value) if value.isdigit() else value
    return found


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
    # What was chosen on the test, or saw its signals, has a table of its own.
    for (title, _, selection), rows in table.groupby(["task", "protocol", "selection"], sort=False):
        first = rows.iloc[0]
        mark = " (SIMULATED)" if bool(first["simulated"]) else ""
        print_table(
            ["method", "saw", "balanced accuracy", "95 % interval", "chance", "weights"],
            [
                [
                    row["method"]
                    + (f" seed {row['seed']}" if row["seed"] else "")
                    + ("" if row["audit"] == "passed" else f" (leaks {row['audit']})"),
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
                + ("" if selection == "last" else f", weights: {selection}")
                + f", {first['n_subjects']} subjects{mark}"
            ),
            right=["balanced accuracy", "95 % interval", "chance"],
        )


def _score(row: Any) -> str:
    return f"{row['balanced_accuracy']:.3f} ± {row['balanced_accuracy_sd']:.3f}"
