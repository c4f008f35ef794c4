"""What a recovery study runs: levels of the planted effect, arms, seeds, corpora, sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from affectrum import affect
from affectrum.benchmark.files import digest_of
from affectrum.errors import ConfigError
from affectrum.methods.base import derive_seed
from affectrum.twins.seeds import GENERATOR_VERSION
from affectrum.twins.settings import TwinSettings

if TYPE_CHECKING:
    from affectrum.methods.emod.config import EMODConfig

__all__ = ["ARMS", "SCRATCH", "RecoveryCell", "RecoveryPlan", "make_plan"]

SCRATCH = "scratch"

#: Arm -> what it is. All arms share the network, its fine-tuning and the labelled windows.
ARMS: dict[str, str] = {
    SCRATCH: "no pre-training",
    "instance": "pre-trained without labels: two augmented views of a window belong together",
    "right": "pre-trained with soft valence-arousal weights, words at their places in the plane",
    "wrong": "the same, the words' places dealt to other words",
    "narrow": "as right, with weights that end much nearer than published",
    "other": "as right, with another table of places (the published constants)",
}

# What was set before any network was trained, with a linear reading of band power on twins of
# other seeds: people share more of their response than by default, because with little in common
# nothing can be carried over (docs/recovery.md).
_DIALS = {"response_rotation": 0.25, "non_responders": 0.0, "reversed_responders": 0.0}


# Small networks, few steps: rates are higher than the published ones. The first was chosen by the
# loss of pre-training, the others by the arm from scratch, on twins of another seed and target.
_NETWORK = {
    "width": 32,
    "depth": 2,
    "pretrain_rate": 2e-3,
    "head_rate": 3e-3,
    "backbone_rate": 3e-3,
}
# What a cell's result does not follow from, but for the part that its arm takes.
_OF_ARMS = {"levels", "seeds", "arms", "table", "other_table", "narrow_distance", "network"}
_OF_PRETRAINING = (
    "sources",
    "source_subjects",
    "source_trials",
    "pretrain_epochs",
    "pretrain_steps",
    "batches",
)


class RecoveryPlan(BaseModel):
    """A study: every number that changes a result.

    Pre-training corpora, people, clips, windows and weights are drawn anew for each seed; within a
    seed the levels differ in the strength of the effect only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    levels: tuple[float, ...] = Field(
        (0.0, 0.5, 1.0, 2.5, 8.0),
        min_length=1,
        description="planted effect over the twins' default",
    )
    seeds: tuple[int, ...] = Field((0, 1, 2, 3, 4), min_length=1, description="replicates")
    arms: tuple[str, ...] = Field((SCRATCH, "right", "wrong", "instance"), min_length=1)
    table: str = Field("faced-measured", description="words' places for 'right' and 'wrong'")
    other_table: str = Field("emod", description="words' places for the arm 'other'")

    narrow_distance: float = Field(
        2.0, gt=0, description="where weights end for 'narrow', in units of -4..4; published: 5"
    )

    sources: tuple[str, ...] = Field(("SEED-IV", "SEED-VII", "FACED", "EAV"), min_length=1)
    target: str = Field("EmoEEG-MC", description="the corpus that pre-training never sees")
    classes: str = Field("valence3", description="class scheme of the target")
    source_subjects: int = Field(8, ge=1)
    source_trials: int = Field(24, ge=1, description="per person, words in turn")
    train_subjects: int = Field(4, ge=1, description="target people with labels")
    test_subjects: int = Field(16, ge=1, description="other target people")
    train_clips: int = Field(3, ge=1, description="clips of each class for training")
    test_clips: int = Field(4, ge=1, description="other clips of each class, as far as there are")
    trial_seconds: float = Field(12.0, ge=2.0)
    window_seconds: int = Field(4, ge=1)
    sfreq: float = Field(128.0, gt=0, description="Hz")
    cap: str = Field("DEAP", description="corpus whose electrodes everybody wears")
    passband: tuple[float, float] = Field((0.3, 49.0), description="Hz")
    dials: dict[str, Any] = Field(default_factory=lambda: dict(_DIALS), description="TwinSettings")

    batches: Literal["own", "words"] = Field(
        "own",
        description="own: drawn by regions of the arm's own places, as the method does; words: the "
        "same windows for all arms, words with a right place in turn",
    )
    pretrain_epochs: int = Field(10, ge=1, description="the learning rate falls with each")
    pretrain_steps: int = Field(20, ge=1, description="per epoch; each takes 9 windows per source")
    network: dict[str, Any] = Field(
        default_factory=lambda: dict(_NETWORK),
        description="further parameters of EMODConfig, for all arms",
    )
    finetune_epochs: int = Field(25, ge=1)
    finetune_batch: int = Field(36, ge=2)

    @model_validator(mode="after")
    def _consistent(self) -> RecoveryPlan:
        unknown = sorted(set(self.arms) - set(ARMS))
        if unknown:
            raise ValueError(f"unknown arms {', '.join(unknown)}; there are {', '.join(ARMS)}")
        if self.target in self.sources:
            raise ValueError(f"'target' {self.target} must not be one of 'sources'")
        for name, values in (("levels", self.levels), ("seeds", self.seeds), ("arms", self.arms)):
            if len(set(values)) < len(values):
                raise ValueError(f"'{name}' names something twice: {values}")
        if min(self.levels) < 0 or min(self.seeds) < 0:
            raise ValueError("'levels' and 'seeds' must not be negative")
        self.settings(0.0)
        return self

    def settings(self, level: float) -> TwinSettings:
        """Return the twins' dials at a level."""
        return TwinSettings(**{**self.dials, "effect": level})

    def cells(self) -> Iterator[RecoveryCell]:
        """Yield the cells, most telling first.

        The middle and the lowest level come before the others, and within them the arm that costs
        most, two views of each window, comes last. Arms of one level and seed follow each other,
        since they share their corpora.
        """
        ordered = sorted(self.levels)
        first = list(dict.fromkeys([ordered[len(ordered) // 2], ordered[0]]))
        dear = [arm for arm in self.arms if arm == "instance"]
        for levels in (first, [level for level in ordered if level not in first]):
            for arms in ([arm for arm in self.arms if arm not in dear], dear):
                for seed in self.seeds:
                    for level in levels:
                        for arm in arms:
                            yield RecoveryCell(self, level, seed, arm)


@dataclass(frozen=True)
class RecoveryCell:
    """One arm at one level with one seed.

    Attributes
    ----------
    plan : RecoveryPlan
        What it is part of.
    level : float
        Planted effect.
    seed : int
        Replicate.
    arm : str
        One of `ARMS`.
    """

    plan: RecoveryPlan
    level: float
    seed: int
    arm: str

    @property
    def config(self) -> EMODConfig:
        """EMOD's parameters: the arms differ in pre-training only."""
        from affectrum.methods.emod.config import EMODConfig

        plan = self.plan
        return EMODConfig.model_validate(
            {
                "device": "cpu",
                "per_region": 1,
                "pretrain_epochs": plan.pretrain_epochs,
                "pretrain_steps": plan.pretrain_steps,
                "finetune_epochs": plan.finetune_epochs,
                "finetune_batch": plan.finetune_batch,
                **plan.network,
                **({"max_distance": plan.narrow_distance} if self.arm == "narrow" else {}),
                "objective": "instance" if self.arm == "instance" else "soft-va",
                "pretraining": self.arm != SCRATCH,
                "seed": derive_seed(0, "recovery", self.seed),
            }
        )

    @property
    def table(self) -> str:
        """Name of the table of places that the arm is pre-trained with; "" for none."""
        if self.arm in (SCRATCH, "instance"):
            return ""
        return self.plan.other_table if self.arm == "other" else self.plan.table

    @property
    def digest(self) -> str:
        """Name of its result: changes with whatever changes its numbers, and with nothing else.

        Every parameter of the network enters, given or by default, the places of all words, and
        the versions of the generator and of pre-training.
        """
        from affectrum.methods.emod.config import (
            BACKBONE_FIELDS,
            PRETRAIN_FIELDS,
            PRETRAIN_VERSION,
        )

        shared = self.plan.model_dump(mode="json", exclude=_OF_ARMS)
        config = self.config.model_dump(mode="json", exclude={"device", "checkpointing"})
        versions = [GENERATOR_VERSION]
        if self.arm == SCRATCH:
            # Nothing of the pre-training touches it.
            for name in _OF_PRETRAINING:
                shared.pop(name)
            for name in set(PRETRAIN_FIELDS) - {*BACKBONE_FIELDS, "precision", "seed"}:
                config.pop(name, None)
        else:
            versions.append(PRETRAIN_VERSION)
        tables = [self.table]
        if self.arm == "instance" and self.plan.batches == "words":
            tables = [self.plan.table]
        return digest_of(
            {
                "plan": shared,
                "network": config,
                "twin": self.plan.settings(self.level).digest(),
                "places": [_places(name) for name in tables],
                "versions": versions,
                "seed": self.seed,
                "arm": self.arm,
            }
        )

    def __str__(self) -> str:
        return f"effect {self.level:g}, seed {self.seed}, {self.arm}"


def _places(table: str) -> dict[str, tuple[float, float]]:
    entries = affect.get_table(table).entries if table else {}
    return {word: (point.valence, point.arousal) for word, point in sorted(entries.items())}


# Seconds instead of hours; the numbers mean nothing.
_QUICK: dict[str, Any] = {
    "levels": (0.0, 2.5),
    "seeds": (0, 1),
    "sources": ("SEED-IV", "FACED"),
    "source_subjects": 2,
    "source_trials": 8,
    "train_subjects": 1,
    "test_subjects": 2,
    "train_clips": 2,
    "test_clips": 2,
    "trial_seconds": 4.0,
    "window_seconds": 2,
    "sfreq": 64.0,
    "passband": (0.3, 28.0),
    "pretrain_epochs": 1,
    "pretrain_steps": 2,
    "network": {"width": 8, "depth": 1},
    "finetune_epochs": 1,
}


def make_plan(
    *,
    quick: bool = False,
    levels: Sequence[float] | None = None,
    seeds: Sequence[int] | None = None,
    arms: Sequence[str] | None = None,
) -> RecoveryPlan:
    """Make a plan; what is not given is the full study's.

    Parameters
    ----------
    quick : bool
        Tiny corpora and networks, to see that everything runs.
    levels, seeds, arms : sequence, optional
        See `RecoveryPlan`.

    Returns
    -------
    RecoveryPlan

    Raises
    ------
    ConfigError
        If a value is not allowed.
    """
    given = {"levels": levels, "seeds": seeds, "arms": arms}
    fields = {name: tuple(value) for name, value in given.items() if value is not None}
    try:
        return RecoveryPlan.model_validate({**(_QUICK if quick else {}), **fields})
    except ValidationError as error:
        reasons = "; ".join(str(fault["msg"]) for fault in error.errors())
        raise ConfigError(f"This recovery study can't be made: {reasons}.") from None
