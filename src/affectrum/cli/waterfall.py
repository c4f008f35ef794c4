"""``affectrum waterfall``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import make_console, progress

__all__ = ["waterfall"]


def waterfall(
    plan: Path,
    /,
    *,
    out: Path,
    goal: Path | None = None,
    alone: bool = True,
    imports: list[str] | None = None,
    workers: int = 1,
    quiet: bool = False,
) -> int:
    """From your plan's protocols to strict ones, one factor removed at a time.

    Each task of the plan is a start, with each of its methods. Factors are the selection of
    weights, access of the scaling, overlap of subjects and stimuli, shipped features, reference and
    bands, and whatever else differs from the goal. Stop it at any moment; the same command goes on.
    Exit code 1 when something could not be run.

    Parameters
    ----------
    plan
        A plan, as `affectrum run` takes it.
    out
        Where everything goes: plan.yaml, the record, the page.
    goal
        A YAML file with the fields of a task that differ at the strict end, such as `scaling:
        calibration` or `recipe: de32`. Default: last weights, the protocol's own scaling,
        standardised, no stimulus of the test in training, nobody on both sides of a rule.
    alone
        Also remove each factor as the only one: the size of a step depends on its place.
    imports
        Modules that register methods of your own.
    workers
        Processes.
    quiet
        No progress display.
    """
    import importlib

    from affectrum.benchmark import load_plan
    from affectrum.benchmark.places import read_yaml
    from affectrum.cli.reproduce import print_waterfalls, run_kept_plan
    from affectrum.reproduce import waterfall as make_waterfall
    from affectrum.reproduce import write_page

    for name in imports or ():
        importlib.import_module(name)
    start = load_plan(plan)
    end = None if goal is None else read_yaml(goal)
    with progress("windows", quiet=quiet) as advance:

        def show(event: object) -> None:
            if getattr(event, "kind", "") == "windows":
                total = max(getattr(event, "stage_total", 0), 1)
                done = getattr(event, "stage_done", 0)
                advance(done if done < total else 0, total, getattr(event, "message", ""))

        found = make_waterfall(
            start,
            out / "run",
            goal=end,
            alone=alone,
            workers=workers,
            progress=show,
            run=lambda made, folder: run_kept_plan(
                made, out, folder, workers, quiet, imports or ()
            ),
        )
    page = write_page(found, out / "waterfall.html")
    print_waterfalls(found)
    mark = " All of it is SIMULATED: it says nothing about people." if found.simulated else ""
    make_console().print(f"wrote {page}.{mark}", markup=False, soft_wrap=True)
    return 0 if found.ok else 1
