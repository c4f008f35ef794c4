"""Plans: a typed YAML of tasks, methods and seeds, and the cells they expand to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from affectrum.benchmark.files import digest_of
from affectrum.benchmark.places import CorpusPlace, place_of, read_places, read_yaml
from affectrum.errors import AffectrumError, ConfigError, did_you_mean
from affectrum.protocols.catalogue import (
    PROTOCOLS,
    SCALING_SCOPES,
    base_protocol,
)

__all__ = ["Cell", "MethodPlan", "Plan", "TaskPlan", "expand", "load_plan"]

# Raised when the meaning of a stored cell changes, so that old ones are computed again.
RECORD_FORMAT = 1

_NO_SOURCE = tuple(name for name in PROTOCOLS if not name.startswith("cross-corpus/"))


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class TaskPlan(_Strict):
    """One transfer under one protocol; the fields are those of `affectrum.make_folds`.

    Parameters
    ----------
    target : str
        The tested corpus.
    source : str or list of str, optional
        The training corpora; only for protocols across corpora.
    recipe : str
        Recipe of the windows, a name or a YAML file; one for all corpora of the task.
    declared_leaks : list of str
        Checks of the leak audit that may fail; printed beside the score.
    methods : list of str, optional
        The methods that run on this task, by their names in tables; all by default.
    """

    name: str = Field("", description="for tables; made of the other fields if empty")
    target: str
    source: str | tuple[str, ...] | None = None
    classes: str | tuple[str, ...] = "valence3"
    source_classes: str | tuple[str, ...] | None = None
    source_labels: bool = True
    recipe: str = "de62"
    protocol: str = "cross-corpus/calibrated"
    calibration_trials: int | None = Field(None, ge=1)
    source_sessions: tuple[int, ...] | None = None
    target_sessions: tuple[int, ...] | None = None
    scaling: str | None = None
    scaler: Literal["standard", "minmax", "robust", "none"] = "standard"
    stimulus_disjoint: Literal["clip", "film", "series"] | None = None
    stimulus_control: bool = False
    selection: Literal["last", "validation", "oracle"] = "last"
    subjects: tuple[int, ...] | None = None
    declared_leaks: tuple[str, ...] = ()
    methods: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        base = base_protocol(self.protocol)
        faults = []
        if self.scaling is not None and self.scaling not in SCALING_SCOPES:
            faults.append(
                f"scaling {self.scaling!r} is not one of {', '.join(SCALING_SCOPES)}."
                + did_you_mean(self.scaling, SCALING_SCOPES)
            )
        if base in _NO_SOURCE and self.source is not None:
            faults.append(f"source={self.source!r} has no meaning under {base!r}; leave it out")
        if base not in _NO_SOURCE and self.source is None:
            faults.append(f"{base!r} needs a source")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """The training corpora, empty inside one corpus."""
        if self.source is None:
            return ()
        return (self.source,) if isinstance(self.source, str) else tuple(self.source)

    @property
    def corpora(self) -> tuple[str, ...]:
        """Every corpus of the task, sources first."""
        return (*self.sources, self.target)

    @property
    def title(self) -> str:
        """Name for tables, such as ``"SEED-IV -> SEED, valence3, cross-corpus/calibrated"``."""
        if self.name:
            return self.name
        classes = self.classes if isinstance(self.classes, str) else "/".join(self.classes)
        transfer = " + ".join(self.sources) + " -> " + self.target if self.sources else self.target
        return f"{transfer}, {classes}, {base_protocol(self.protocol)}"

    def fold_options(self) -> dict[str, Any]:
        """Keyword arguments for `affectrum.protocols.plan_folds`, without protocol and seed."""
        left_out = {"name", "recipe", "protocol", "declared_leaks", "methods"}
        return {
            name: getattr(self, name) for name in type(self).model_fields if name not in left_out
        }


class MethodPlan(_Strict):
    """One method of a plan.

    Parameters
    ----------
    name : str
        A name of `affectrum.methods.method_names`.
    preset : str
        "strict" unless said otherwise.
    transfer : str, optional
        A published transfer, for presets that have settings for it.
    arm : str, optional
        For baselines: "calibration", "source" or "both"; the same as an override.
    overrides : dict
        Parameters that win over the preset.
    label : str
        For tables; made of the other fields if empty.
    """

    name: str
    preset: str = "strict"
    transfer: str | None = None
    arm: str | None = None
    overrides: dict[str, Any] = Field(default_factory=dict)
    label: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @property
    def title(self) -> str:
        """Name for tables, such as ``"svm [source]"`` or ``"scmm (paper)"``."""
        if self.label:
            return self.label
        arm = self.arm or self.overrides.get("arm")
        text = self.name + (f" [{arm}]" if arm else "")
        return text + (f" ({self.preset})" if self.preset != "strict" else "")

    def make(self) -> Any:
        """Make the unfitted method.

        Raises
        ------
        ConfigError
            If the name, the preset or a parameter is not known.
        """
        from affectrum.methods.registry import make_method

        options = dict(self.overrides)
        if self.arm is not None:
            options["arm"] = self.arm
        if self.transfer is not None:
            return make_method(self.name, self.preset, transfer=self.transfer, **options)
        return make_method(self.name, self.preset, **options)


class Plan(_Strict):
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
    extras: bool = False

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
                    if not any(_folded(name) == _folded(known) for known in self.corpora):
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
            lines = dict.fromkeys([*_faults(error), *_method_faults(data.get("methods"))])
            raise ConfigError(f"{where} is not a valid plan:\n" + "\n".join(lines)) from None

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
        missing = [name for name in wanted if not any(_folded(name) == _folded(k) for k in places)]
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
        found = {}
        for name in dict.fromkeys(name for task in self.tasks for name in task.corpora):
            place = place_of(self.places(), name)
            content = place.model_dump(mode="json", exclude={"folder"}, exclude_defaults=True)
            if isinstance(place.options, Path):
                content["options"] = read_yaml(place.options)
            if content:
                found[name] = content
        return found


@dataclass(frozen=True)
class Cell:
    """One (task, method, seed).

    Attributes
    ----------
    task : TaskPlan
        The transfer.
    method : MethodPlan
        The method.
    seed : int
        The seed.
    digest : str
        Of everything the result depends on: the task, the method's resolved parameters, the seed,
        the windows' fingerprints, the package's version. Without fingerprints it only tells cells
        of one plan apart.
    fingerprints : dict of str to str
        Fingerprint of each corpus's windows.
    batched : bool
        Whether models of several folds are fitted in one computation.
    """

    task: TaskPlan
    method: MethodPlan
    seed: int
    digest: str
    fingerprints: dict[str, str] = field(default_factory=dict)
    batched: bool = True

    @property
    def title(self) -> str:
        """Task, method and seed."""
        return f"{self.task.title} · {self.method.title} · seed {self.seed}"


def expand(plan: Plan, fingerprints: Mapping[tuple[str, str], str] | None = None) -> list[Cell]:
    """Expand a plan to its cells: tasks, then methods, then seeds.

    Parameters
    ----------
    plan : Plan
        The plan.
    fingerprints : mapping of (corpus, recipe) to str, optional
        Of the windows; without them the digests are not those of stored cells.

    Returns
    -------
    list of Cell
    """
    from affectrum import __version__

    configs = [method.make().config.model_dump(mode="json") for method in plan.methods]
    cells = []
    for task in plan.tasks:
        prints = (
            {name: fingerprints[name, task.recipe] for name in task.corpora}
            if fingerprints is not None
            else {}
        )
        # The task's and the method's names for tables change no number.
        described = task.model_dump(mode="json", exclude={"name", "methods"})
        described["protocol"] = base_protocol(task.protocol)
        for method, config in zip(plan.methods, configs, strict=True):
            if task.methods is not None and method.title not in task.methods:
                continue
            for seed in plan.seeds:
                content = {
                    "format": RECORD_FORMAT,
                    "version": __version__,
                    "task": described,
                    "method": method.name,
                    "config": config,
                    "seed": seed,
                    "epoch_scores": plan.epoch_scores,
                    "batched": plan.batched,
                    "windows": prints,
                }
                cells.append(Cell(task, method, seed, digest_of(content), prints, plan.batched))
    return cells


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
        task.model_copy(update={"recipe": str(base / task.recipe)})
        if task.recipe.endswith((".yaml", ".yml"))
        else task
        for task in plan.tasks
    )
    return plan.model_copy(update={"corpora": corpora, "store": base / plan.store, "tasks": tasks})


def _folded(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")


_MODELS: dict[str, type[BaseModel]] = {
    "tasks": TaskPlan,
    "methods": MethodPlan,
    "corpora": CorpusPlace,
}


def _faults(error: ValidationError) -> list[str]:
    """One line per fault, unknown keys with the nearest known one."""
    lines: list[str] = []
    faults = error.errors()
    roots = [fault["loc"][:1] for fault in faults if fault["type"] != "too_short"]
    for fault in faults:
        if fault["type"] == "too_short" and fault["loc"][:1] in roots:
            continue  # the list is short only because its faulty entries were left out
        place = [part for part in fault["loc"] if not _is_union_tag(part)]
        where = ".".join(str(part) for part in place)
        if fault["type"] == "extra_forbidden":
            model = _MODELS.get(str(place[0]), Plan) if len(place) > 1 else Plan
            known: Sequence[str] = tuple(model.model_fields)
            lines.append(
                f"  - {where}: unknown key {place[-1]!r}.{did_you_mean(str(place[-1]), known)} "
                f"Known keys: {', '.join(known)}."
            )
            continue
        message = str(fault["msg"]).removeprefix("Value error, ")
        received = (
            ""
            if fault["type"] in ("value_error", "missing")
            else (f"; received {fault['input']!r}")
        )
        for line in message.splitlines():
            line = line.strip().removeprefix("- ")
            lines.append(f"  - {where + ': ' if where else ''}{line}{received}")
    return list(dict.fromkeys(lines))


def _method_faults(entries: Any) -> list[str]:
    """Faults of methods that are written well, but can't be made."""
    lines = []
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        try:
            MethodPlan.model_validate(entry).make()
        except ValidationError:
            continue  # listed already
        except AffectrumError as error:
            text = f"methods.{number}: {error}"
            lines += [f"  - {line.strip().removeprefix('- ')}" for line in text.splitlines()]
    return lines


def _is_union_tag(part: int | str) -> bool:
    # pydantic names the member of a union that it tried, which is no key of the file.
    return isinstance(part, str) and (part in ("str", "path", "int") or "[" in part)
