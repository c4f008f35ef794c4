"""What a published experiment is made of, as data; a method joins by registering one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from affectrum.benchmark.tasks import MethodPlan, TaskPlan
from affectrum.errors import ConfigError, did_you_mean
from affectrum.protocols.rules import OTHERS, parse_rule

__all__ = [
    "PARTS",
    "Experiment",
    "Sweep",
    "Transfer",
    "Variant",
    "experiment_names",
    "get_experiment",
    "register_experiment",
]

#: Parts of a reproduction -> what they are.
PARTS: dict[str, str] = {
    "transfers": "every transfer under the published protocol and under the strict one",
    "ablations": "one part of the method changed at a time",
    "sweeps": "one number of the method changed at a time",
    "waterfall": "from the published protocol to the strict one, one factor removed at a time",
}


@dataclass(frozen=True)
class Transfer:
    """One transfer of a paper.

    Attributes
    ----------
    id : str
        Short name, such as ``"SEED-IV->SEED"``.
    title : str
        For tables.
    published, strict : dict
        Fields of `TaskPlan` under the published and under the strict protocol.
    preset_transfer : str or None
        Name under which the method's presets know its settings.
    shipped : (str, str, str) or None
        Recipe of the vendors' own features, the recipe that computes the same from signals, and
        the strict recipe with the same windows; for the waterfall.
    unknown : tuple of str
        What is not known of the published protocol, and what stands in for it.
    small : dict
        Fields of both tasks that a small budget replaces, such as recipe and split.
    some_sources : bool
        Sources that are not there are left out, as long as one is there.
    """

    id: str
    title: str
    published: Mapping[str, Any]
    strict: Mapping[str, Any]
    preset_transfer: str | None = None
    shipped: tuple[str, str, str] | None = None
    unknown: tuple[str, ...] = ()
    small: Mapping[str, Any] = field(default_factory=dict)
    some_sources: bool = False

    def task(self, side: str, **changes: Any) -> TaskPlan:
        """Return the task under one of its protocols.

        Parameters
        ----------
        side : {"published", "strict"}
            Which.
        **changes
            Fields of the task that win.
        """
        fields = self.published if side == "published" else self.strict
        name = f"{self.title}, {side}"
        return TaskPlan.model_validate({"name": name, **fields, **changes})

    @property
    def corpora(self) -> tuple[str, ...]:
        """Every corpus that it can use."""
        return self.task("published").corpora

    def lacking(self, corpora: Sequence[str]) -> list[str]:
        """Return the corpora without which it can't be run.

        Parameters
        ----------
        corpora : sequence of str
            What there is.
        """
        task = self.task("published")
        absent = _absent(task.corpora, corpora)
        if self.some_sources and len(_absent(task.sources, corpora)) < len(task.sources):
            return [name for name in absent if name == task.target]
        return absent

    def goal(self, **changes: Any) -> TaskPlan:
        """Return the strict end of the waterfall, which tests what the published protocol tests.

        Parameters
        ----------
        **changes
            Fields of the task that win.

        Returns
        -------
        TaskPlan
            The strict task; where the target is divided by a rule, by the published one, with
            nobody on both sides.
        """
        strict, published = self.task("strict"), self.task("published")
        split = published.split
        if split is None or strict.split == split:
            return self.task("strict", **changes)
        if parse_rule(split, published.target).unit != "subjects":
            split = f"{split}, {OTHERS}"
        return self.task("strict", **{"split": split, **changes})

    def with_sources(self, corpora: Sequence[str], *, small: bool = False) -> Transfer:
        """Return the transfer with the sources that are there, and with its small tasks.

        Parameters
        ----------
        corpora : sequence of str
            What there is.
        small : bool
            Replace the fields of `small`.

        Returns
        -------
        Transfer
            What it lacks is told in `unknown`.
        """
        replaced = dict(self.small) if small else {}
        unknown = self.unknown
        sources = self.task("published").sources
        absent = _absent(sources, corpora) if self.some_sources else []
        if absent:
            replaced["source"] = tuple(name for name in sources if name not in absent)
            unknown = (*unknown, f"pre-trained without {', '.join(absent)}: no folder was given")
        if not replaced:
            return self
        if small and self.small:
            told = ", ".join(
                f"{name.replace('_', ' ')} {value}"
                for name, value in self.small.items()
                if value is not None
            )
            unknown = (*unknown, f"small budget: {told}")
        return replace(
            self,
            published={**self.published, **replaced},
            strict={**self.strict, **{k: v for k, v in replaced.items() if k != "split"}},
            unknown=unknown,
        )


@dataclass(frozen=True)
class Variant:
    """One change of a method.

    Attributes
    ----------
    label : str
        For tables, such as ``"no pre-training"``.
    overrides : dict
        Its parameters.
    published : str
        Name of the same variant among the published numbers, if it is there.
    """

    label: str
    overrides: Mapping[str, Any]
    published: str = ""


@dataclass(frozen=True)
class Sweep:
    """One parameter over several values.

    Attributes
    ----------
    parameter : str
        Name of the parameter.
    title : str
        For the figure.
    values : tuple
        What is tried.
    quick : tuple
        What is tried with a small budget.
    of_task : bool
        Whether it is a field of the task, not a parameter of the method.
    """

    parameter: str
    title: str
    values: tuple[Any, ...]
    quick: tuple[Any, ...]
    of_task: bool = False


@dataclass(frozen=True)
class Experiment:
    """A paper's experiment.

    Attributes
    ----------
    method : str
        Name in the method registry; the experiment's name too.
    title, reference : str
        For the page.
    transfers : tuple of Transfer
        In the paper's order.
    presets : tuple of str
        Presets that are run under the published protocol; the last one also under the strict one.
    baselines : tuple of MethodPlan
        Run beside the method.
    arms : tuple of Variant
        Each preset is run in each of them; one without label and parameters is the method itself.
    metric : str
        The metric that the paper prints.
    pooled : tuple of str
        Metrics that the paper computes once over all test windows, with their spread over seeds;
        empty where it averages `metric` over subjects.
    as_published : tuple of str
        Presets that published numbers may stand beside; empty: all.
    ablations : tuple of Variant
    study_side : {"strict", "published"}
        Protocol of ablations and sweeps.
    study_preset : str
        Preset that they change; default the last one.
    study_all : bool
        Ablations on every transfer of `study`, not only on the first whose corpora are there.
    sweeps : tuple of Sweep
    sweep_base : dict
        Parameters that hold still while another one moves, where the preset leaves them open.
    study : tuple of str
        Transfers for ablations and sweeps: the first one whose corpora are there.
    descents : tuple of str
        Transfers for the waterfall.
    quick : dict
        Parameters of a small budget, for trying things out.
    twins : dict of str to dict
        Keyword arguments of `write_twin` for twins below full size: what the published splits need
        at least.
    without_twin : tuple of str
        Corpora of which no twin is written.
    unknown : tuple of str
        What the paper's authors have not published, as far as we know.
    """

    method: str
    title: str
    reference: str
    transfers: tuple[Transfer, ...]
    presets: tuple[str, ...] = ("strict",)
    baselines: tuple[MethodPlan, ...] = ()
    arms: tuple[Variant, ...] = (Variant("", {}),)
    metric: str = "accuracy"
    pooled: tuple[str, ...] = ()
    as_published: tuple[str, ...] = ()
    study_side: str = "strict"
    study_preset: str = ""
    study_all: bool = False
    ablations: tuple[Variant, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    sweep_base: Mapping[str, Any] = field(default_factory=dict)
    study: tuple[str, ...] = ()
    descents: tuple[str, ...] = ()
    quick: Mapping[str, Any] = field(default_factory=dict)
    twins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    without_twin: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def corpora(self) -> tuple[str, ...]:
        """Every corpus of the experiment."""
        return tuple(dict.fromkeys(name for t in self.transfers for name in t.corpora))

    def transfer(self, name: str) -> Transfer:
        """Return a transfer by its id.

        Raises
        ------
        ConfigError
            If there is none of that name.
        """
        for transfer in self.transfers:
            if transfer.id == name:
                return transfer
        known = [transfer.id for transfer in self.transfers]
        raise ConfigError(
            f"{self.method} has no transfer {name!r}; it has {', '.join(known)}."
            + did_you_mean(name, known)
        )

    def plan_of(
        self,
        preset: str,
        transfer: Transfer,
        overrides: Mapping[str, Any] | None = None,
        label: str = "",
    ) -> MethodPlan:
        """Return the method with a preset's settings for a transfer.

        Parameters
        ----------
        preset : str
            The preset.
        transfer : Transfer
            Its published settings count where the preset knows it.
        overrides : mapping, optional
            Parameters that win.
        label : str
            For tables.
        """
        from affectrum.methods.registry import get_method_class

        cls = get_method_class(self.method)
        known = transfer.preset_transfer in cls.transfers and preset != "strict"
        return MethodPlan(
            name=self.method,
            preset=preset,
            transfer=transfer.preset_transfer if known else None,
            overrides=dict(overrides or {}),
            label=label,
        )


_BUILT_IN = {"scmm": "affectrum.reproduce.scmm", "emod": "affectrum.reproduce.emod"}
_REGISTERED: dict[str, Experiment] = {}


def register_experiment(experiment: Experiment) -> Experiment:
    """Make an experiment known by its method's name.

    Raises
    ------
    ConfigError
        If ids of transfers are doubled, or `study` or `descents` name others.
    """
    ids = [transfer.id for transfer in experiment.transfers]
    if len(set(ids)) < len(ids):
        raise ConfigError(f"{experiment.method}: transfers are named twice: {', '.join(ids)}.")
    for name in (*experiment.study, *experiment.descents):
        experiment.transfer(name)
    _REGISTERED[experiment.method] = experiment
    return experiment


def experiment_names() -> tuple[str, ...]:
    """Return the names of all experiments."""
    return tuple(dict.fromkeys([*_BUILT_IN, *_REGISTERED]))


def get_experiment(name: str) -> Experiment:
    """Return an experiment by name.

    Raises
    ------
    ConfigError
        If there is none of that name; the message lists all.
    """
    if name not in _REGISTERED and name in _BUILT_IN:
        importlib.import_module(_BUILT_IN[name])
    try:
        return _REGISTERED[name]
    except KeyError:
        names = experiment_names()
        raise ConfigError(
            f"There is no experiment {name!r}; there are {', '.join(names)}."
            + did_you_mean(name, names)
        ) from None


def available(experiment: Experiment, corpora: Sequence[str]) -> dict[str, list[str]]:
    """Say which corpora each transfer lacks.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    corpora : sequence of str
        What there is.

    Returns
    -------
    dict of str to list of str
        Transfer id -> missing corpora, empty where it can be run.
    """
    return {transfer.id: transfer.lacking(corpora) for transfer in experiment.transfers}


def _absent(wanted: Sequence[str], corpora: Sequence[str]) -> list[str]:
    from affectrum.catalog import fold_name

    have = {fold_name(name) for name in corpora}
    return [name for name in wanted if fold_name(name) not in have]
