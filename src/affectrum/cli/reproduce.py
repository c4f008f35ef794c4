"""``affectrum reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from affectrum.cli.console import make_console, print_table, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affectrum.reproduce import Experiment, Reproduction

__all__ = ["print_waterfalls", "reproduce", "run_kept_plan"]

# Forms that the waterfall's step "shipped features" reads beside the signals.
_FORMS = {"SEED": ["preprocessed", "features-4s"], "SEED-IV": ["raw", "features"]}


def reproduce(
    method: str,
    /,
    *,
    corpora: Path | None = None,
    twins: bool = False,
    size: Literal["tiny", "small", "full"] = "small",
    out: Path = Path("reproduction"),
    parts: list[str] | None = None,
    transfers: list[str] | None = None,
    seeds: int = 1,
    quick: bool | None = None,
    twin_seed: int = 0,
    workers: int = 1,
    quiet: bool = False,
) -> int:
    """A paper's experiment, under its own protocol and under the strict one.

    Published numbers stand beside yours only where transfer, classes, protocol, access and
    selection are known to be the same; else "not available". Stop it at any moment; the same
    command goes on. Exit code 1 when something could not be run.

    Parameters
    ----------
    method
        The experiment: scmm or emod.
    corpora
        A paths file that says where your corpora lie.
    twins
        Simulated corpora instead, written below OUT; they prove software, not science.
    size
        Of the twins.
    out
        Where everything goes: plan.yaml, the record, the page.
    parts
        One of transfers, ablations, sweeps, waterfall (say it again for more); all by default.
    transfers
        A transfer such as SEED-IV->SEED (say it again for more); all whose corpora are there by
        default.
    seeds
        How many seeds each method runs with.
    quick
        Few training steps and values, to see that everything runs; by default with twins only.
    twin_seed
        Seed of the simulated corpora.
    workers
        Processes.
    quiet
        No progress display.
    """
    from affectrum.errors import ConfigError
    from affectrum.reproduce import get_experiment, write_page
    from affectrum.reproduce import reproduce as run_experiment
    from affectrum.reproduce.experiment import PARTS

    experiment = get_experiment(method)
    if twins == (corpora is not None):
        raise ConfigError(
            "Give either --corpora PATHS.yaml (where your corpora lie) or --twins (simulated ones)."
        )
    if seeds < 1:
        raise ConfigError(f"--seeds must be at least 1; received {seeds}.")
    places: Any = corpora
    if twins:
        places = _write_twins(
            experiment, out / "corpora", transfers, size, twin_seed, workers, quiet
        )
    with progress("windows", quiet=quiet) as advance:

        def show(event: Any) -> None:
            if event.kind == "windows":
                total = max(event.stage_total, 1)
                advance(event.stage_done if event.stage_done < total else 0, total, event.message)

        found = run_experiment(
            method,
            out,
            corpora=places,
            parts=tuple(parts or PARTS),
            transfers=transfers,
            seeds=range(seeds),
            quick=twins if quick is None else quick,
            workers=workers,
            progress=show,
            run=lambda plan, folder: run_kept_plan(plan, out, folder, workers, quiet),
        )
    page = write_page(found, out / "reproduction.html")
    _print(found)
    mark = " All of it is SIMULATED: it says nothing about people." if found.simulated else ""
    make_console().print(f"wrote {page}.{mark}", markup=False, soft_wrap=True)
    return 0 if found.ok else 1


def run_kept_plan(
    plan: Any,
    out: Path,
    folder: Path,
    workers: int,
    quiet: bool,
    imports: Sequence[str] = (),
) -> Any:
    """Keep a plan as a file, so that it can be read, changed and run again, and run it.

    Parameters
    ----------
    plan : Plan
        The plan.
    out : Path
        Folder of its file, ``plan.yaml``.
    folder : Path
        The run's folder.
    workers : int
        Processes.
    quiet : bool
        No progress display.
    imports : sequence of str
        Modules that register methods.

    Returns
    -------
    RunReport
    """
    import yaml

    from affectrum.cli.run import execute

    data = plan.model_dump(mode="json", exclude_defaults=True)
    data["corpora"] = {
        name: {**place, "folder": str(Path(place["folder"]).resolve())}
        for name, place in data["corpora"].items()
    }
    data["store"] = str(plan.store.resolve())
    for task in data["tasks"]:
        for name in ("recipe", "source_recipe"):
            if str(task.get(name, "")).endswith((".yaml", ".yml")):
                task[name] = str(Path(task[name]).resolve())
    file = out / "plan.yaml"
    text = "# Made by `affectrum`; change a copy and run it with `affectrum run`.\n"
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(
        text + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100),
        encoding="utf-8",
    )
    return execute(file, folder, workers=workers, imports=imports, quiet=quiet)


def _write_twins(
    experiment: Experiment,
    top: Path,
    transfers: Sequence[str] | None,
    size: str,
    seed: int,
    workers: int,
    quiet: bool,
) -> dict[str, Path]:
    from affectrum.twins import SIZES, write_twin

    n_subjects, n_sessions, trial_seconds = SIZES[size]
    least = experiment.twins if size != "full" else {}
    names = experiment.corpora
    if transfers:
        names = tuple(
            dict.fromkeys(n for name in transfers for n in experiment.transfer(name).corpora)
        )
    places = {}
    for corpus in names:
        if corpus in experiment.without_twin:
            continue
        with progress(f"twin of {corpus}", quiet=quiet) as advance:
            places[corpus] = write_twin(
                corpus,
                top / corpus,
                **{
                    "subjects": n_subjects,
                    "sessions": n_sessions,
                    "trial_seconds": trial_seconds,
                    **least.get(corpus, {}),
                },
                forms=_FORMS.get(corpus) if experiment.method == "scmm" else None,
                seed=seed,
                workers=workers,
                progress=advance,
            )
    return places


def _print(found: Reproduction) -> None:
    """Print all tables."""
    mark = " (SIMULATED)" if found.simulated else ""
    scores = found.transfers
    if found.pooled:
        _print_pooled(found, mark)
    elif len(scores):
        for side in ("published", "strict"):
            rows = scores[scores["side"] == side]
            print_table(
                ["transfer", "method", "last", "best test epoch", "chance", "published"],
                [
                    [
                        row["transfer"],
                        row["method"],
                        _number(row.get("last")),
                        _number(row.get("oracle")),
                        _number(row.get("chance")),
                        row["published"] if row["preset"] else None,
                    ]
                    for _, row in rows.iterrows()
                ],
                title=f"{side} protocol, {found.head['metric']}{mark}",
                right=["last", "best test epoch", "chance"],
            )
    print_waterfalls(found)


def _print_pooled(found: Reproduction, mark: str) -> None:
    """Print scores of all test windows, and published numbers where nothing differs."""
    scores = found.transfers
    names = [name.replace("_", " ") for name in found.pooled]
    for side in ("published", "strict"):
        rows = scores[scores["side"] == side] if len(scores) else scores
        if len(rows):
            print_table(
                ["target", "method", *names, "chance", "published"],
                [
                    [
                        row["transfer"],
                        row["method"],
                        *(_number(row.get(f"pooled_{name}")) for name in found.pooled),
                        _number(row.get("chance")),
                        row["published"] if row["preset"] else None,
                    ]
                    for _, row in rows.iterrows()
                ],
                title=f"{side} protocol, over all test windows{mark}",
                right=[*names, "chance"],
            )


def print_waterfalls(found: Reproduction) -> None:
    """Print a table for each waterfall: what was removed, and what that was worth.

    Parameters
    ----------
    found : Reproduction
        The results.
    """
    mark = " (SIMULATED)" if found.simulated else ""
    falls = found.waterfall
    for name, rows in falls.groupby("group", sort=False) if len(falls) else ():
        print_table(
            ["removed", "balanced accuracy", "step", "95 % interval"],
            [
                [
                    row["step"] or "nothing",
                    _number(row["score"]),
                    _number(row["difference"], sign=True),
                    f"{_number(row['low'], sign=True)} to {_number(row['high'], sign=True)}"
                    if row["low"] == row["low"]
                    else None,
                ]
                for _, row in rows[rows["role"].isin(["start", "chain"])].iterrows()
            ],
            title=f"from the published protocol to the strict one: {name}{mark}",
            right=["balanced accuracy", "step", "95 % interval"],
        )


def _number(value: Any, *, sign: bool = False) -> str | None:
    if value is None or value != value:
        return None
    return f"{value:+.3f}" if sign else f"{value:.3f}"
