"""``affectrum pretrain`` and ``affectrum finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from affectrum.cli.console import make_console, progress

__all__ = ["finetune", "pretrain"]


def pretrain(
    method: str,
    plan: Path,
    /,
    *,
    out: Path,
    task: int = 1,
    electrodes: str | None = None,
    seed: int | None = None,
    device: Literal["auto", "cpu", "cuda"] | None = None,
    run: Path | None = None,
    checkpoint: Path | None = None,
    track: Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> None:
    """Pre-train one method on the source corpora of a plan's task and save the weights.

    A run that was stopped goes on where it was when the same command is given again. Methods that
    can use several processes are started by torchrun: torchrun --nproc-per-node 4 -m affectrum
    pretrain ...

    Parameters
    ----------
    method
        A method that pre-trains, for example scmm or emod.
    plan
        A plan; its settings for the method are used.
    out
        The bundle's folder.
    task
        Which of the plan's tasks, from 1.
    electrodes
        Train for just these electrodes (names separated by commas), for a headset.
    seed
        Seed of the run; the first one of the plan by default.
    device
        Where to compute, in place of the plan's choice.
    run
        The plan's run: its cells find the weights there and need not train them again.
    checkpoint
        File to go on from and to write to; by default OUT.checkpoint, removed at the end.
    track
        Folder for TensorBoard's curves (extra "track").
    overwrite
        Replace an existing bundle.
    quiet
        No progress display.
    """
    import contextlib
    import datetime

    from affectrum.benchmark.pretraining import pretrain_from_plan
    from affectrum.training.distributed import join_processes
    from affectrum.training.tracking import TensorBoardLog

    with contextlib.ExitStack() as stack:
        place = stack.enter_context(join_processes(device or "auto"))
        log = None
        if track is not None and place.first:
            log = stack.enter_context(TensorBoardLog(track))
        shown = progress(f"pretrain {method}", quiet=quiet or not place.first)
        advance = stack.enter_context(shown)
        folder = pretrain_from_plan(
            method,
            plan,
            out,
            task=task,
            electrodes=_names(electrodes),
            seed=seed,
            device=device,
            run=run,
            checkpoint=checkpoint,
            log=log,
            date=datetime.date.today().isoformat(),
            overwrite=overwrite,
            progress=lambda stage, done, total: advance(done, total, stage),
        )
    if place.first:
        make_console().print(f"wrote {folder}", markup=False, soft_wrap=True)


def finetune(
    method: str,
    plan: Path,
    /,
    *,
    out: Path,
    task: int = 1,
    electrodes: str | None = None,
    pretrained: Path | None = None,
    run: Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> None:
    """Train one model on all labelled windows of a plan's task and save it as a bundle.

    Nothing is held out, so this measures nothing: `affectrum run` gives the score.

    Parameters
    ----------
    method
        A method, for example scmm or logistic.
    plan
        A plan; its settings for the method are used.
    out
        The bundle's folder.
    task
        Which of the plan's tasks, from 1.
    electrodes
        Train for just these electrodes (names separated by commas), for a headset.
    pretrained
        Weights that `affectrum pretrain` made from the same plan.
    run
        The plan's run; the score that the method reached there on unseen people goes on the model
        card.
    overwrite
        Replace an existing bundle.
    quiet
        No progress display.
    """
    import datetime

    from affectrum.benchmark.models import finetune_from_plan

    with progress(f"train {method}", quiet=quiet) as advance:
        folder = finetune_from_plan(
            method,
            plan,
            out,
            task=task,
            electrodes=_names(electrodes),
            pretrained=pretrained,
            run=run,
            date=datetime.date.today().isoformat(),
            overwrite=overwrite,
            progress=lambda stage, done, total: advance(done, total, stage),
        )
    make_console().print(
        f"wrote {folder}; use it with: affectrum predict RECORDING --model {folder}",
        markup=False,
        soft_wrap=True,
    )


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",") if name.strip()] if text else None
