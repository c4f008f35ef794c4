"""What stands in a plan: tasks and methods, each checked for itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from affectrum.errors import ConfigError, did_you_mean
from affectrum.protocols.catalogue import (
    LABELS,
    PROTOCOLS,
    SCALING_SCOPES,
    TARGET_USES,
    base_protocol,
    check_options,
)
from affectrum.recipes import for_corpora, keeps_volts

__all__ = ["MethodPlan", "Strict", "TaskPlan"]

Count = Annotated[int, Field(ge=1)]

# Fields whose list is a learning curve, and what they count.
_CURVES = {"calibration_trials": "calibration trials", "shots": "shots"}


class Strict(BaseModel):
    """Base of everything in a plan: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class TaskPlan(Strict):
    """One transfer under one protocol; the fields are those of `affectrum.make_folds`.

    Parameters
    ----------
    target : str
        The tested corpus.
    source : str or list of str, optional
        The training corpora; only for protocols across corpora.
    recipe : str
        Recipe of the windows, a name or a YAML file; one for all corpora of the task. The corpora
        of recipes such as "de-common" are filled in.
    source_recipe : str, optional
        Another recipe for the source corpora, under "pretrain-finetune": windows of signals may
        then have another length, rate and electrode set than the target's.
    source_labels : bool or "plane"
        Whether the source's labels are granted, or only their valence and arousal.
    va_table : str or dict, optional
        What places emotion words on the plane: a table's name, or ``{word: [valence, arousal]}``.
    calibration_trials, shots : int or list of int, optional
        A list is a learning curve: a plan holds one task for each number. All points are tested on
        what comes after the largest number of trials, unless `test_after` says otherwise.
    scaling : str, optional
        A scope; the protocol's default where it is left out, and "none" where the recipe keeps each
        corpus's own electrodes.
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
    source_labels: bool | Literal["plane"] = True
    va_table: str | dict[str, tuple[float, float]] | None = None
    recipe: str = "de62"
    source_recipe: str | None = None
    protocol: str = "cross-corpus/calibrated"
    calibration_trials: Count | tuple[Count, ...] | None = None
    test_after: Count | None = None
    target_use: str | None = None
    shots: Count | tuple[Count, ...] | None = None
    split: str | None = None
    labels: str | None = None
    labs: dict[str, str] | None = None
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
        info = PROTOCOLS[base]
        faults = []
        for name, value, allowed in (
            ("scaling", self.scaling, SCALING_SCOPES),
            ("target_use", self.target_use, TARGET_USES),
            ("labels", self.labels, LABELS),
        ):
            if value is not None and value not in allowed:
                faults.append(
                    f"{name} {value!r} is not one of {', '.join(allowed)}."
                    + did_you_mean(value, allowed)
                )
        for name in _CURVES:
            points = getattr(self, name)
            if isinstance(points, tuple) and len(points) != len(dict.fromkeys(points)):
                faults.append(f"{name} names a number twice: {', '.join(map(str, points))}")
            if isinstance(points, tuple) and not points:
                faults.append(f"{name} is an empty list; leave it out for the published number")
        if self.source is not None and "source" not in info.options:
            faults.append(f"source={self.source!r} has no meaning under {base!r}; leave it out")
        if self.source is None and info.needs_source:
            faults.append(f"{base!r} needs a source")
        set_ones = [
            name
            for name in ("target_use", "shots", "split", "labs", "test_after")
            if getattr(self, name) is not None
        ]
        faults += check_options(base, set_ones)
        if self.va_table is not None:
            from affectrum.affect import get_table

            try:
                get_table(self.va_table)
            except ConfigError as error:
                faults.append(f"va_table: {error}")
        if self.source_recipe is not None and (self.source is None or base != "pretrain-finetune"):
            faults.append(
                f"source_recipe={self.source_recipe!r} belongs to 'pretrain-finetune' with a "
                "source; elsewhere all corpora need one recipe"
            )
        if faults:
            raise ValueError("; ".join(faults))
        if self.source_recipe == self.recipe:
            object.__setattr__(self, "source_recipe", None)
        # A recipe at the electrodes that all corpora of the task have names them from here on.
        object.__setattr__(self, "recipe", for_corpora(self.recipe, self.corpora))
        if self.scaling is None and keeps_volts(self.recipe):
            object.__setattr__(self, "scaling", "none")
        return self

    def points(self) -> tuple[TaskPlan, ...]:
        """Return one task per point of the learning curve; the task itself if there is none."""
        tasks: tuple[TaskPlan, ...] = (self,)
        for field, unit in _CURVES.items():
            values = getattr(self, field)
            if not isinstance(values, tuple):
                continue
            update: dict[str, Any] = {}
            if field == "calibration_trials" and self.test_after is None:
                # Points of one curve are about the same test.
                update["test_after"] = max(values)
            tasks = tuple(
                task.model_copy(
                    update={field: value, "name": f"{task.title}, {value} {unit}", **update}
                )
                for task in tasks
                for value in values
            )
        return tasks

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

    def recipe_of(self, corpus: str) -> str:
        """Return the recipe of a corpus of the task.

        Parameters
        ----------
        corpus : str
            One of `corpora`.
        """
        if self.source_recipe is None or corpus == self.target:
            return self.recipe
        return self.source_recipe

    @property
    def k(self) -> int:
        """Calibration trials of one point of a curve; 0 where the protocol's default counts."""
        return self.calibration_trials if isinstance(self.calibration_trials, int) else 0

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
        left_out = ("name", "recipe", "source_recipe", "protocol", "declared_leaks", "methods")
        given = {
            name: getattr(self, name) for name in type(self).model_fields if name not in left_out
        }
        return {name: value for name, value in given.items() if value is not None}


class MethodPlan(Strict):
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
