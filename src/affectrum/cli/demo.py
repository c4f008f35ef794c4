"""``affectrum demo``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from affectrum.cli.console import make_console, progress

__all__ = ["demo"]

CORPORA = ("SEED", "SEED-IV", "DEAP")


def demo(
    *,
    out: Path = Path("demo"),
    size: Literal["tiny", "small", "full"] = "small",
    seed: int = 0,
    workers: int = 2,
    quiet: bool = False,
) -> int:
    """The main job on simulated corpora, from nothing to a report.

    Writes twins of SEED, SEED-IV and DEAP, turns them into windows, runs SCMM, EMOD and baselines
    over the transfers, and writes report.html and a model for `affectrum predict`. Stop it at any
    moment; the same command goes on. Simulated data proves software, not science.

    Parameters
    ----------
    out
        Where everything goes.
    size
        tiny: a minute, for tests (few training steps too); small: up to five minutes on two
        cores; full: the vendors' sizes (hours, hundreds of GB).
    seed
        Seed of the simulated corpora.
    workers
        Processes for writing and preparing corpora.
    quiet
        No progress display.
    """
    import datetime
    from importlib.resources import files

    from affectrum.benchmark.models import finetune_from_plan
    from affectrum.cli.run import execute, print_scores
    from affectrum.report import write_report
    from affectrum.twins import SIZES, write_twin

    console = make_console(stderr=True)
    start = time.monotonic()

    def say(step: int, what: str) -> None:
        if not quiet:
            console.print(f"[{time.monotonic() - start:4.0f} s] {step} of 5: {what}", markup=False)

    out.mkdir(parents=True, exist_ok=True)
    plan = out / "plan.yaml"
    text = (files("affectrum.cli") / "demo-plan.yaml").read_text(encoding="utf-8")
    plan.write_text(_shortened(text) if size == "tiny" else text, encoding="utf-8")

    say(1, "simulated corpora in the vendors' layouts")
    n_subjects, n_sessions, trial_seconds = SIZES[size]
    for corpus in CORPORA:
        with progress(f"twin of {corpus}", quiet=quiet) as advance:
            write_twin(
                corpus,
                out / "corpora" / corpus,
                subjects=n_subjects,
                sessions=n_sessions,
                trial_seconds=trial_seconds,
                seed=seed,
                workers=workers,
                progress=advance,
            )
    say(2, "windows, methods, transfers (plan.yaml)")
    report = execute(plan, out / "run", workers=workers, quiet=quiet)
    say(3, "scores")
    print_scores(out / "run")
    say(4, "report")
    page = write_report(out / "run", out / "report.html")
    say(5, "a model for recordings of your own")
    model = finetune_from_plan(
        "scmm",
        plan,
        out / "model",
        run=out / "run",
        date=datetime.date.today().isoformat(),
        overwrite=True,
    )
    make_console().print(
        f"wrote {page} and {model} in {time.monotonic() - start:.0f} s. All of it is SIMULATED: "
        "it shows how the software works, and nothing about people.\n"
        f"Next: open {page}, or read a recording with "
        f"`affectrum predict RECORDING --model {model}`",
        markup=False,
        soft_wrap=True,
    )
    return 0 if report.ok else 1


def _shortened(plan: str) -> str:
    """Return the plan with a tenth of the training steps: tiny corpora are for tests."""
    import re

    return re.sub(
        r"\b((?:pretrain|search|finetune_max)_steps): (\d+)",
        lambda match: f"{match[1]}: {max(1, int(match[2]) // 10)}",
        plan,
    )
