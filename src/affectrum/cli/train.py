"""``affectrum pretrain`` and ``affectrum finetune``."""

from __future__ import annotations

from pathlib import Path

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
    overwrite: bool = False,
    quiet: bool = False,
) -> None:
    """Pre-train one method on the source corpora of a plan's task and save the weights.

    Parameters
    ----------
    method
        A method that pre-trains, for example scmm.
    plan
        A plan; its settings for the method are used.
    out
        The bundle's folder.
    task
        Which of the plan's tasks, from 1.
    electrodes
        Train for just these electrodes (names separated by commas), for a headset.
    overwrite
        Replace an existing bundle.
    quiet
        No progress display.
    """
    import datetime

    from affectrum.benchmark.models import pretrain_from_plan

    with progress(f"pretrain {method}", quiet=quiet) as advance:
        folder = pretrain_from_plan(
            method,
            plan,
            out,
            task=task,
            electrodes=_names(electrodes),
            date=datetime.date.today().isoformat(),
            overwrite=overwrite,
            progress=lambda stage, done, total: advance(done, total, stage),
        )
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
