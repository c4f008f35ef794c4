"""``affectrum recovery``."""

from __future__ import annotations

from pathlib import Path

from affectrum.cli.console import make_console, print_table, progress

__all__ = ["recovery"]


def recovery(
    *,
    out: Path = Path("recovery"),
    levels: list[float] | None = None,
    seeds: int | None = None,
    arms: list[str] | None = None,
    cells: int | None = None,
    workers: int = 1,
    quick: bool = False,
    replan: bool = False,
    quiet: bool = False,
) -> int:
    """What EMOD's pre-training gains on simulated corpora, as the planted effect grows.

    Five levels of the effect, four arms (scratch, instance, right and wrong table of valence and
    arousal), five replicates; the score is that of a corpus which pre-training never saw. Hours on
    two cores: stop it at any moment, the same command goes on; several may work on one folder. A
    folder keeps its study: without levels, seeds, arms and quick it goes on. The page is written
    anew each time. Simulated data proves software, not science.

    Parameters
    ----------
    out
        Where results and recovery.html go.
    levels
        Planted effects over the twins' default (say it again for more).
    seeds
        How many replicates.
    arms
        One of scratch, right, wrong, instance, narrow, other (say it again for more).
    cells
        Compute at most so many now; 0 only writes the page.
    workers
        Processes, each with one thread.
    quick
        A tiny study, to see that everything runs; its numbers mean nothing.
    replan
        Change the study that the folder holds; finished cells that fit are kept.
    quiet
        No progress display.
    """
    from affectrum.reproduce.recovery.figures import LABELS
    from affectrum.reproduce.recovery.page import state, write_recovery
    from affectrum.reproduce.recovery.plan import make_plan
    from affectrum.reproduce.recovery.results import load_recovery
    from affectrum.reproduce.recovery.run import PLAN_FILE, read_plan, run_recovery

    given = quick or any(value is not None for value in (levels, seeds, arms))
    if not given and (out / PLAN_FILE).is_file():
        plan = read_plan(out)
    else:
        plan = make_plan(
            quick=quick,
            levels=levels,
            seeds=None if seeds is None else range(seeds),
            arms=arms,
        )
    with progress("recovery", quiet=quiet) as advance:
        missing = run_recovery(
            plan, out, workers=workers, max_cells=cells, replan=replan, progress=advance
        )
    found = load_recovery(out)
    console = make_console()
    if not found.cells:
        console.print(state(found))
        return 1
    page = write_recovery(found, out)
    print_table(
        ["effect", *(LABELS[arm] for arm in plan.arms), "seeds"],
        [
            [
                f"{level:g}",
                *(
                    next((f"{100 * s:.1f}" for s in rows.loc[rows["arm"] == arm, "score"]), None)
                    for arm in plan.arms
                ),
                f"{rows['n_seeds'].min()}",
            ]
            for level, rows in found.scores().groupby("level")
        ],
        title="balanced accuracy on the unseen corpus, % (SIMULATED)",
        right=[LABELS[arm] for arm in plan.arms],
    )
    console.print(
        f"{state(found)} Wrote {page}. All of it is SIMULATED: it says nothing about people.",
        markup=False,
        soft_wrap=True,
    )
    return 1 if missing and cells is None else 0
