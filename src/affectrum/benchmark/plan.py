"""Plans: a typed YAML of tasks, methods and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from affectrum.benchmark.cells import RECORD_FORMAT, Cell, expand
from affectrum.benchmark.faults import method_faults, plan_faults
from affectrum.benchmark.places import CorpusPlace, place_of, read_places, read_yaml
from affectrum.benchmark.tasks import MethodPlan, Strict, TaskPlan
from affectrum.catalog import fold_name
from affectrum.errors import AffectrumError, ConfigError, did_you_mean

__all__ = ["RECORD_FORMAT", "Cell", "MethodPlan", "Plan", "TaskPlan", "expand", "load_plan"]


class Plan(Strict):
    """What to compute.

    Parameters
    ----------
    name : str
        For the report.
    corpora : dict of str to (path or CorpusPlace), or path
        Folder of each corpus, alone or with the form to read and the reader's options; or a paths
        file (YAML) with such entries.
    store : path
        Where prepared windows are kept.
    tasks : list of TaskPlan
        The transfers.
    methods : list of MethodPlan or str
        Every method runs on every task, unless the task names its own.
    seeds : list of int
        Every method runs with every seed.
    epoch_scores : bool
        Keep the scores after each epoch, where a method has epochs.
    batched : bool
        Fit the models of a cell's folds in one computation where the method can; the numbers are
        those of one by one up to rounding, so that the two are different cells.
    controls : bool or list of str
        Also compute the null controls and companions of each score as cells of their own (see
        `affectrum.benchmark.controls`); a list names some of them.
    permutations : int
        How often the labels of a null control are permuted, each time in a cell of its own. One
        takes the permutation that forgets the classes best; more are drawn at random, so that the
        null has an interval and the score a p value.
    extras : bool
        Store what the report's figures need (see `affectrum.benchmark.extras`), for the first
        seed; not for a task that differs from another one only by fewer calibration trials.
    """

    name: str = "run"
    corpora: dict[str, CorpusPlace] | Path = Field(default_factory=dict)
    store: Path = Path("store")
    tasks: tuple[TaskPlan, ...] = Field(min_length=1)
    methods: tuple[MethodPlan, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    epoch_scores: bool = True
    batched: bool = True
    controls: bool | tuple[str, ...] = False
    permutations: int = Field(1, ge=1, le=10_000)
    extras: bool = False

    @field_validator("tasks", mode="after")
    @classmethod
    def _points(cls, tasks: tuple[TaskPlan, ...]) -> tuple[TaskPlan, ...]:
        return tuple(point for task in tasks for point in task.points())

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = []
        if any(seed < 0 for seed in self.seeds):
            faults.append("seeds must not be negative")
        for what, values in (
            ("seeds", [str(seed) for seed in self.seeds]),
            ("methods", [method.title for method in self.methods]),
        ):
            doubled = sorted({value for value in values if values.count(value) > 1})
            if doubled:
                faults.append(
                    f"{what} are named twice: {', '.join(doubled)} (give methods a label)"
                )
        for number, method in enumerate(self.methods):
            try:
                method.make()
            except AffectrumError as error:
                faults.append(f"methods.{number}: {error}")
        titles = [method.title for method in self.methods]
        for number, task in enumerate(self.tasks):
            for name in task.methods or ():
                if name not in titles:
                    faults.append(
                        f"tasks.{number}: method {name!r} is not one of the plan's: "
                        f"{', '.join(titles)}." + did_you_mean(name, titles)
                    )
        if isinstance(self.corpora, dict) and self.corpora:
            for number, task in enumerate(self.tasks):
                for name in task.corpora:
                    if not any(fold_name(name) == fold_name(known) for known in self.corpora):
                        faults.append(
                            f"tasks.{number}: corpus {name!r} has no folder under 'corpora' "
                            f"({', '.join(self.corpora)})." + did_you_mean(name, self.corpora)
                        )
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "plan") -> Plan:
        """Make a plan of plain data, with every fault in one message.

        Raises
        ------
        ConfigError
            If anything is missing, unknown or not allowed.
        """
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            # Where a key is wrong the checks across the plan have not run: look at methods too.
            lines = dict.fromkeys([*plan_faults(error, cls), *method_faults(data.get("methods"))])
            raise ConfigError(f"{where} is not a valid plan:\n" + "\n".join(lines)) from None

    @classmethod
    def field_map(
        cls, corpora: Sequence[str] | Mapping[str, Any] | str | Path, **options: Any
    ) -> Plan:
        """Make the default plan: every corpus against every other, and each left out of all.

        Parameters
        ----------
        corpora : sequence of str, mapping of str to path, or path
            Names; names with folders; or a paths file (YAML).
        **options
            `methods`, `modes` and `schemes` (see `affectrum.benchmark.field_map`), `recipe` and
            other fields of every task, `seeds`, `store` and other fields of the plan.

        Returns
        -------
        Plan
            Tasks name the methods that their access allows.

        Raises
        ------
        ConfigError
            If a corpus is not in the catalog, or nothing can be made of the corpora.
        """
        from affectrum.benchmark.field_map import field_map_content

        given = Path(corpora) if isinstance(corpora, str | Path) else corpora
        return cls.from_dict(field_map_content(given, **options), "the field's map")

    def places(self, base: Path | None = None) -> dict[str, CorpusPlace]:
        """Return where each corpus lies, reading the paths file if there is one.

        Parameters
        ----------
        base : Path, optional
            Folder that relative paths start from.

        Raises
        ------
        ConfigError
            If the paths file can't be read, or a corpus of a task has no folder.
        """
        base = Path() if base is None else base
        places = (
            {name: place.relative_to(base) for name, place in self.corpora.items()}
            if isinstance(self.corpora, dict)
            else read_places(base / self.corpora)
        )
        wanted = dict.fromkeys(name for task in self.tasks for name in task.corpora)
        missing = [
            name for name in wanted if not any(fold_name(name) == fold_name(k) for k in places)
        ]
        if missing:
            raise ConfigError(
                f"No folder is given for {', '.join(missing)}; there are folders for "
                f"{', '.join(places) or 'no corpus'}."
            )
        return places

    def folders(self, base: Path | None = None) -> dict[str, Path]:
        """Return the folder of each corpus; see `places`.

        Raises
        ------
        ConfigError
            As `places`.
        """
        return {name: place.folder for name, place in self.places(base).items()}

    def told(self) -> dict[str, Any]:
        """Return form and options of the corpora that need them, without their folders.

        Raises
        ------
        ConfigError
            As `places`.
        """
        if isinstance(self.corpora, dict) and not self.corpora:
            return {}
        places = self.places()
        names = dict.fromkeys(name for task in self.tasks for name in task.corpora)
        told = {name: place_of(places, name).told() for name in names}
        return {name: content for name, content in told.items() if content}


def load_plan(path: str | Path) -> Plan:
    """Read a plan from a YAML file; relative paths start from the file's folder.

    Raises
    ------
    ConfigError
        If it can't be read or is not a valid plan; every fault is listed.
    """
    path = Path(path)
    plan = Plan.from_dict(read_yaml(path), str(path))
    base = path.parent
    corpora: dict[str, CorpusPlace] | Path = (
        {name: place.relative_to(base) for name, place in plan.corpora.items()}
        if isinstance(plan.corpora, dict)
        else base / plan.corpora
    )
    tasks = tuple(
        task.model_copy(
            update={
                name: str(base / recipe)
                for name in ("recipe", "source_recipe")
                if (recipe := str(getattr(task, name))).endswith((".yaml", ".yml"))
            }
        )
        for task in plan.tasks
    )
    return plan.model_copy(update={"corpora": corpora, "store": base / plan.store, "tasks": tasks})
