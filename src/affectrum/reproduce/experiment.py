"""What a published experiment is made of, as data; a method joins by registering one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affectrum.benchmark.tasks import MethodPlan, TaskPlan
from affectrum.errors import ConfigError, did_you_mean

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
    """

    id: str
    title: str
    published: Mapping[str, Any]
    strict: Mapping[str, Any]
    preset_transfer: str | None = None
    shipped: tuple[str, str, str] | None = None
    unknown: tuple[str, ...] = ()

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
        """The corpora it needs."""
        return self.task("published").corpora


@dataclass(frozen=True)
class Variant:
    """One change of a method.

    Attributes
    ----------
    label : str
        For tables, such as ``"no pre-training"``.
    overrides : dict
        Its parameters.
    """

    label: str
    overrides: Mapping[str, Any]


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
    """

    parameter: str
    title: str
    values: tuple[Any, ...]
    quick: tuple[Any, ...]


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
    metric : str
        The metric that the paper prints.
    ablations : tuple of Variant
    sweeps : tuple of Sweep
    sweep_base : dict
        Parameters that hold still while another one moves, where the preset leaves them open.
    study : tuple of str
        Transfers for ablations and sweeps: the first one whose corpora are there.
    descents : tuple of str
        Transfers for the waterfall.
    quick : dict
        Parameters of a small budget, for trying things out.
    unknown : tuple of str
        What the paper's authors have not published, as far as we know.
    """

    method: str
    title: str
    reference: str
    transfers: tuple[Transfer, ...]
    presets: tuple[str, ...] = ("strict",)
    baselines: tuple[MethodPlan, ...] = ()
    metric: str = "accuracy"
    ablations: tuple[Variant, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    sweep_base: Mapping[str, Any] = field(default_factory=dict)
    study: tuple[str, ...] = ()
    descents: tuple[str, ...] = ()
    quick: Mapping[str, Any] = field(default_factory=dict)
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


_BUILT_IN = {"scmm": "affectrum.reproduce.scmm"}
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
    from affectrum.catalog import fold_name

    have = {fold_name(name) for name in corpora}
    return {
        transfer.id: [name for name in transfer.corpora if fold_name(name) not in have]
        for transfer in experiment.transfers
    }
