"""One model from a plan, saved as a bundle, for recordings still to come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrum.benchmark.places import place_of
from affectrum.benchmark.plan import MethodPlan, Plan, TaskPlan, load_plan
from affectrum.benchmark.pretraining import is_pretrain_finetune, source_access
from affectrum.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from affectrum.methods.base import Progress
    from affectrum.recipes import Recipe
    from affectrum.windows import Windows

__all__ = ["finetune_from_plan", "planned_method", "planned_task", "planned_windows"]

Prepared = Callable[[float, float, str], None]


def finetune_from_plan(
    method: str,
    plan: Plan | str | Path,
    out: str | Path,
    *,
    task: int = 1,
    electrodes: Sequence[str] | None = None,
    pretrained: str | Path | None = None,
    run: str | Path | None = None,
    date: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train a method on all labelled windows of a plan's task and save it as a bundle.

    Parameters
    ----------
    method, plan, out, task, electrodes
        As in `affectrum.benchmark.pretraining.pretrain_from_plan`.
    pretrained : path, optional
        A bundle that `affectrum pretrain` made from the same plan; without it a method that
        pre-trains does so first. Under "pretrain-finetune" these weights are the source's part, and
        the labelled windows are the target's.
    run : path, optional
        The plan's run: the score that this method reached there on people it had not seen
        (zero-shot or leave-one-subject-out) is written on the model card.
    date, overwrite, progress
        As in `affectrum.benchmark.pretraining.pretrain_from_plan`.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BundleError
        If the pre-trained weights belong to another method or to other windows, or the folder is
        taken (known before anything is trained).
    """
    from affectrum.inference import load_pretrained
    from affectrum.inference.bundle_io import check_free
    from affectrum.inference.deploy import train_bundle

    check_free(Path(out), overwrite)
    plan = plan if isinstance(plan, Plan) else load_plan(plan)
    chosen = planned_task(plan, task)
    entry = planned_method(plan, method)
    model = entry.make()
    weights = None
    if pretrained is not None:
        known, weights = load_pretrained(pretrained)
        if known.name != model.name:
            raise BundleError(
                f"{pretrained} holds weights of method {known.name!r}, not of {model.name!r}."
            )
    if is_pretrain_finetune(chosen) and model.takes_several_shapes:
        if weights is None:
            access, _ = source_access(plan, chosen, model, plan.seeds[0])
            weights = model.pretrain(access, progress=progress)
        if weights is not None:
            model = model.clone(foreign_weights=True)
        chosen = chosen.model_copy(update={"source": None, "source_recipe": None})
    recipe, windows = planned_windows(plan, chosen, electrodes)
    provenance: dict[str, Any] = {"trained_by": "affectrum finetune"}
    if run is not None and electrodes is None:
        score = _score(run, chosen, entry)
        if score is not None:
            provenance["score"] = score
    return train_bundle(
        model,
        windows,
        out,
        recipe=recipe,
        classes=chosen.classes,
        seed=plan.seeds[0],
        pretrained=weights,
        provenance=provenance,
        date=date,
        overwrite=overwrite,
        progress=progress,
    )


def planned_task(plan: Plan, number: int) -> TaskPlan:
    """Return a task of a plan by its number, from 1.

    Raises
    ------
    ConfigError
        If there is none of this number.
    """
    if not 1 <= number <= len(plan.tasks):
        raise ConfigError(
            f"The plan has tasks 1 to {len(plan.tasks)}; received task {number}:\n"
            + "\n".join(f"  {i}. {task.title}" for i, task in enumerate(plan.tasks, start=1))
        )
    return plan.tasks[number - 1]


def planned_method(plan: Plan, name: str) -> MethodPlan:
    """Return a plan's entry for a method, or the method with its default preset."""
    for entry in plan.methods:
        if name in (entry.name, entry.label):
            # A model for new recordings learns from everything: an arm that leaves the source
            # aside has no meaning here.
            return entry.model_copy(update={"arm": None}) if entry.arm else entry
    return MethodPlan(name=name)


def planned_windows(
    plan: Plan, task: TaskPlan, electrodes: Sequence[str] | None
) -> tuple[Recipe, list[Windows]]:
    """Return the windows that a model for new recordings learns from, and their recipe."""
    from affectrum.recipes import get_recipe
    from affectrum.store import Store

    # What a model learns from: the source's windows where there is a source.
    recipe = get_recipe(task.recipe_of((*task.sources, task.target)[0]))
    if electrodes is not None:
        if recipe.own_electrodes:
            raise ConfigError(
                f"Recipe {recipe.name!r} leaves each corpus its own electrodes, and a model on it "
                "takes whatever electrodes a recording has: leave --electrodes out."
            )
        recipe = recipe.replace(
            name=f"{recipe.name}-{len(electrodes)}", electrodes=tuple(electrodes), how="interpolate"
        )
    places = plan.places()
    store = Store(plan.store)
    # A task inside one corpus has no source: the corpus itself is what a model learns from.
    names = task.sources or (task.target,)
    windows = [
        store.prepare(place_of(places, name).open(name), recipe, sessions=_sessions(task))
        for name in names
    ]
    return recipe, windows


def _sessions(task: TaskPlan) -> tuple[int, ...] | None:
    return task.source_sessions if task.sources else task.target_sessions


# Protocols under which a model sees nothing of the tested person, as with a new recording.
_UNSEEN = (
    "cross-corpus/zero-shot",
    "leave-one-corpus-out/zero-shot",
    "leave-one-lab-out/zero-shot",
    "leave-one-subject-out",
)


def _score(run: str | Path, task: TaskPlan, entry: MethodPlan) -> dict[str, Any] | None:
    """Return a score for the model card: same corpora, classes and method, person unseen.

    A calibrated score would flatter: the bundle meets people whom it was not calibrated on.
    """
    from affectrum.benchmark.record import load_record
    from affectrum.benchmark.table import score_table

    sources = sorted(task.sources or (task.target,))
    cells = [
        cell
        for cell in load_record(run)
        if cell.meta["base"] in _UNSEEN
        and sorted(cell.meta["source"] or [cell.meta["target"]]) == sources
        and cell.meta["task"]["classes"] == task.model_dump(mode="json")["classes"]
        and cell.meta["method"]["name"] == entry.name
    ][:1]
    if not cells:
        return None
    row = score_table(cells, n_permutations=200).iloc[0]
    return {
        "balanced_accuracy": round(float(row["balanced_accuracy"]), 4),
        "interval": [round(float(row["interval_low"]), 4), round(float(row["interval_high"]), 4)],
        "protocol": str(row["protocol"]),
        "task": str(row["task"]),
        "access": str(row["access"]),
        "selection": str(row["selection"]),
        "simulated": bool(row["simulated"]),
    }
