"""Pre-training apart from a run: weights from a plan, saved as a bundle and for the run's cells."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrum.benchmark.plan import Plan, TaskPlan, load_plan
from affectrum.errors import ConfigError

if TYPE_CHECKING:
    from affectrum.methods.base import Method, Progress
    from affectrum.protocols import Access
    from affectrum.training.tracking import Log

__all__ = ["is_pretrain_finetune", "pretrain_from_plan", "source_access"]


def pretrain_from_plan(
    method: str,
    plan: Plan | str | Path,
    out: str | Path,
    *,
    task: int = 1,
    electrodes: Sequence[str] | None = None,
    seed: int | None = None,
    device: str | None = None,
    run: str | Path | None = None,
    checkpoint: str | Path | None = None,
    log: Log | None = None,
    date: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Pre-train a method on the source corpora of a plan's task and save the weights.

    Among several processes (`affectrum.training.distributed`) all call this; the first one saves
    and reports.

    Parameters
    ----------
    method : str
        A method that pre-trains, with the plan's settings for it where it is listed there.
    plan : Plan or path
        The plan.
    out : path
        The bundle's folder.
    task : int
        Which of the plan's tasks, from 1.
    electrodes : sequence of str, optional
        Train for just these electrodes, in place of the recipe's.
    seed : int, optional
        Seed of the run; the first one of the plan by default.
    device : {"auto", "cpu", "cuda"}, optional
        In place of the configured one.
    run : path, optional
        The plan's run: the weights are also put where its cells find them, so that they need not
        train them again. The source's windows are then those that the cells see.
    checkpoint : path, optional
        File to resume from and to write to, for methods that have checkpoints. Default: beside
        `out`, and removed at the end.
    log : callable, optional
        Called as ``log(step, values)``, for methods that have learning curves to show.
    date : str, optional
        For the model card.
    overwrite : bool
        Whether an existing bundle may be replaced.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ConfigError
        If the method does not pre-train, can't do what is asked for, or the plan has no such task.
    BundleError
        If the folder is taken; known before anything is trained.
    """
    from affectrum.benchmark.models import planned_method, planned_task, planned_windows
    from affectrum.benchmark.shared import SharedPretraining
    from affectrum.inference import save_pretrained
    from affectrum.inference.bundle_io import check_free
    from affectrum.inference.deploy import training_side
    from affectrum.training.distributed import current_processes

    check_free(Path(out), overwrite)
    plan = plan if isinstance(plan, Plan) else load_plan(plan)
    chosen = planned_task(plan, task)
    model = planned_method(plan, method).make()
    if device is not None:
        model = model.clone(device=device)
    given: dict[str, Any] = {} if log is None else {"log": log}
    known = inspect.signature(model.pretrain).parameters
    for name, value in (("checkpoint", checkpoint), ("log", log)):
        if value is not None and name not in known:
            raise ConfigError(f"The pre-training of method {method!r} takes no {name}.")
    place = current_processes()
    if place.world_size > 1 and not model.trains_in_processes:
        raise ConfigError(
            f"Method {method!r} pre-trains in one process; start it without torchrun. Methods that "
            "use several: emod."
        )
    saved = None
    if "checkpoint" in known:
        saved = Path(f"{os.fspath(out)}.checkpoint") if checkpoint is None else Path(checkpoint)
        given["checkpoint"] = saved
    seed = plan.seeds[0] if seed is None else seed
    if run is not None or is_pretrain_finetune(chosen):
        if electrodes is not None:
            raise ConfigError("'electrodes' and the windows of a run's cells exclude each other.")
        access, about = source_access(plan, chosen, model, seed)
        recipe = _recipes(chosen)
    else:
        one, windows = planned_windows(plan, chosen, electrodes)
        side = training_side(windows, recipe=one, classes=chosen.classes, seed=seed)
        access, about, recipe = side.access, side.about(), one.model_dump(mode="json")
    pretrained = model.pretrain(access, progress=progress if place.first else None, **given)
    if pretrained is None:
        raise ConfigError(
            f"Method {method!r} has no pre-training. `affectrum finetune` trains it in one step."
        )
    if not place.first:
        return Path(out)
    folder = save_pretrained(
        pretrained,
        out,
        method=model,
        simulated=any(bool(one["simulated"]) for one in about),
        provenance={
            "corpora": about,
            "recipe": recipe,
            "protocol": access.protocol,
            "grants": [name for name in access.grants if name.startswith("source")],
            "seed": seed,
        },
        date=date,
        overwrite=overwrite,
    )
    if run is not None:
        SharedPretraining(Path(run) / "shared").put(pretrained)
    if saved is not None and checkpoint is None:
        saved.unlink(missing_ok=True)
    return folder


def source_access(
    plan: Plan, task: TaskPlan, model: Method, seed: int
) -> tuple[Access, list[dict[str, Any]]]:
    """Return what the cells of a plan's task grant to pre-training, and what is said about it.

    Parameters
    ----------
    plan : Plan
        The plan.
    task : TaskPlan
        One of its tasks.
    model : Method
        The method.
    seed : int
        Seed of the run.

    Returns
    -------
    access : Access
        Of the first fold.
    about : list of dict
        Name, subjects, trials, windows, rate of each source corpus.

    Raises
    ------
    ConfigError
        If the folds of the task differ in what pre-training sees.
    """
    from affectrum.benchmark.cell import fold_options
    from affectrum.benchmark.inputs import PlanWindows
    from affectrum.protocols import plan_folds

    point = task.points()[0]
    opened = PlanWindows(plan)
    parts = [opened.get(name, point.recipe_of(name)) for name in point.corpora]
    folds = plan_folds(parts, point.protocol, seed=seed, **fold_options(point))
    access = folds[0].access
    wanted = model.pretrain_fingerprint(access)
    for number in range(1, len(folds)):
        if model.pretrain_fingerprint(folds[number].access) != wanted:
            raise ConfigError(
                f"The folds of {task.title!r} pre-train on different windows, so there is no one "
                "set of weights for its cells. `affectrum run` pre-trains each by itself."
            )
    about: list[dict[str, Any]] = []
    for grant in access.source_parts:
        table = grant.windows.table
        about.append(
            {
                "name": grant.windows.corpus,
                "subjects": int(table["subject"].nunique()),
                "trials": len(table[["subject", "session", "row"]].drop_duplicates()),
                "windows": len(table),
                "channels": len(grant.windows.channels),
                "sfreq": grant.windows.sfreq,
                "simulated": grant.windows.simulated,
            }
        )
    return access, about


def is_pretrain_finetune(task: TaskPlan) -> bool:
    """Tell whether a task pre-trains on source corpora and fine-tunes on the target's own."""
    from affectrum.protocols.catalogue import base_protocol

    return bool(task.sources) and base_protocol(task.protocol) == "pretrain-finetune"


def _recipes(task: TaskPlan) -> dict[str, Any]:
    """Recipe of the source corpora, as JSON."""
    from affectrum.recipes import get_recipe

    recipe = get_recipe(task.recipe_of((*task.sources, task.target)[0]))
    return dict(recipe.model_dump(mode="json"))
