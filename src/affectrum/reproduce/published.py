"""Published numbers: one data file, each number with its source and what it was made with.

A number stands beside ours only if `differences` finds nothing: same transfer, classes, protocol,
access and selection, all of them known. What is not known to be the same is not the same.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from affectrum.catalog import fold_name
from affectrum.errors import ConfigError
from affectrum.protocols.catalogue import base_protocol

__all__ = ["MARKS", "PublishedNumber", "differences", "load_published", "published_numbers"]

#: How a number came to us.
MARKS: dict[str, str] = {
    "paper": "printed in the paper",
    "abstract": "printed in the abstract",
    "code": "printed by the authors beside their code",
    "secondary": "quoted by a secondary source that is named",
    "inferred": "computed from other published numbers; the note says how",
}


class PublishedNumber(BaseModel):
    """One published number; what is not known is None.

    Parameters
    ----------
    method : str
        The method, as the paper calls it.
    variant : str
        Which form of it, such as "scratch"; empty for the main one.
    our_method : str
        Its name in this project's registry; empty if it has none.
    trained_on : tuple of str, optional
        Source corpora; empty inside one corpus.
    target : str
        The tested corpus; empty for a number over several.
    classes : int, optional
        How many classes.
    scheme : str, optional
        The class scheme of this project that has the same classes.
    protocol : str, optional
        A protocol of this project with its modifiers, as tables print it.
    selection : str, optional
        Which weights were scored: "last", "validation" or "oracle".
    calibration_trials : int, optional
        Labelled trials of the tested subject, where the protocol has them.
    what : {"score", "gain"}
        A score, or a difference between scores in points.
    metric : str
        Of `affectrum.evaluation.METRICS`.
    value : float
        Per cent, or points for a gain.
    spread : float, optional
        The number after ±, per cent.
    spread_over : str, optional
        What it is the spread of: "subjects" or "seeds".
    mark : str
        One of `MARKS`.
    source : str
        Where it stands.
    note : str
        What a reader should know.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(min_length=1)
    variant: str = ""
    our_method: str = ""
    trained_on: tuple[str, ...] | None = None
    target: str = ""
    classes: int | None = Field(None, ge=2)
    scheme: str | None = None
    protocol: str | None = None
    selection: Literal["last", "validation", "oracle"] | None = None
    calibration_trials: int | None = Field(None, ge=1)
    what: Literal["score", "gain"] = "score"
    metric: Literal["accuracy", "balanced_accuracy", "kappa", "weighted_f1"] = "accuracy"
    value: float
    spread: float | None = Field(None, ge=0)
    spread_over: Literal["subjects", "seeds"] | None = None
    mark: Literal["paper", "abstract", "code", "secondary", "inferred"]
    source: str = Field(min_length=1)
    note: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.protocol is not None:
            base_protocol(self.protocol)
        low = 0.0 if self.what == "score" and self.metric != "kappa" else -100.0
        if not low <= self.value <= 100.0:
            raise ValueError(f"value is {self.value}; expected per cent, {low:g} to 100")
        if self.what == "score" and not self.target:
            raise ValueError("a score needs a target")
        if self.mark in ("inferred", "secondary") and not (self.note or self.source):
            raise ValueError(f"a number marked {self.mark!r} must say where it comes from")
        return self

    @property
    def title(self) -> str:
        """The method with its variant."""
        return f"{self.method} ({self.variant})" if self.variant else self.method

    @property
    def text(self) -> str:
        """The number as it is printed: ``"60.51 ± 5.41"``, a gain with its sign."""
        value = f"{self.value:+.2f}" if self.what == "gain" else f"{self.value:.2f}"
        return value if self.spread is None else f"{value} ± {self.spread:.2f}"


class _Group(BaseModel):
    """Entries that share fields."""

    model_config = ConfigDict(extra="forbid")

    shared: dict[str, Any] = Field(default_factory=dict)
    numbers: list[dict[str, Any]] = Field(min_length=1)


def load_published(path: Path | None = None) -> tuple[PublishedNumber, ...]:
    """Read a registry of published numbers.

    Parameters
    ----------
    path : Path, optional
        A YAML file: a list of groups, each with ``numbers`` and the fields they have in ``shared``.
        Default: this project's own.

    Returns
    -------
    tuple of PublishedNumber
        In the order of the file.

    Raises
    ------
    ConfigError
        If it can't be read or an entry is wrong; every fault is named.
    """
    import yaml

    place: Any = files("affectrum.reproduce") / "published.yaml" if path is None else path
    try:
        data = yaml.safe_load(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{place} can't be read: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{place} is not valid YAML: {error}") from error
    if not isinstance(data, list):
        raise ConfigError(f"{place} must hold a list of groups; found {type(data).__name__}.")
    numbers: list[PublishedNumber] = []
    faults: list[str] = []
    for group_index, content in enumerate(data):
        try:
            group = _Group.model_validate(content)
        except ValidationError as error:
            faults += [f"  - {group_index}: {fault['msg']}" for fault in error.errors()]
            continue
        for index, entry in enumerate(group.numbers):
            try:
                numbers.append(PublishedNumber.model_validate({**group.shared, **entry}))
            except ValidationError as error:
                faults += [
                    f"  - {group_index}.{index}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                    for fault in error.errors()
                ]
    if faults:
        raise ConfigError("\n".join([f"{place} is not a valid registry:", *faults]))
    return tuple(numbers)


@functools.cache
def _ours() -> tuple[PublishedNumber, ...]:
    return load_published()


def published_numbers(
    *, method: str | None = None, target: str | None = None
) -> tuple[PublishedNumber, ...]:
    """Return the published numbers that this project knows.

    Parameters
    ----------
    method : str, optional
        Only those of a method, by its name in the paper or in this project.
    target : str, optional
        Only those tested on a corpus.

    Returns
    -------
    tuple of PublishedNumber
        What is in none of them is not available to this project.
    """
    found = _ours()
    if method is not None:
        wanted = fold_name(method)
        found = tuple(
            n for n in found if wanted in (fold_name(n.method), fold_name(n.our_method or n.method))
        )
    if target is not None:
        found = tuple(n for n in found if fold_name(n.target) == fold_name(target))
    return found


def differences(
    number: PublishedNumber,
    meta: Mapping[str, Any],
    *,
    variant: str | None = None,
    what: str = "score",
) -> list[str]:
    """Say in what a published number and one of our cells differ, or may differ.

    Parameters
    ----------
    number : PublishedNumber
        The published number.
    meta : mapping
        What a stored cell says of itself (`affectrum.benchmark.CellResult.meta`).
    variant : str, optional
        Which form of the method the cell is, as the registry calls it; not compared if missing.
    what : {"score", "gain"}
        What of ours the number would stand beside.

    Returns
    -------
    list of str
        Empty only if everything is known to be the same, so that the two may stand side by side.
    """
    out = []
    if number.what != what:
        said = {"score": "it is a score", "gain": "it is a difference between scores, no score"}
        return [said[number.what]]
    if meta.get("simulated"):
        out.append("ours is of simulated signals")
    if variant is not None and number.variant != variant:
        out.append(f"it is of {number.title}")
    # What is not pre-trained has not seen the source, though it might.
    seen = meta["source"] if _pretrains(meta) else []
    if number.trained_on is None:
        out.append("its training corpora are not known")
    elif sorted(map(fold_name, number.trained_on)) != sorted(map(fold_name, seen)):
        out.append(f"it was trained on {' + '.join(number.trained_on) or 'the target corpus'}")
    if fold_name(number.target) != fold_name(str(meta["target"])):
        out.append(f"it was tested on {number.target}")
    scheme = meta["task"]["classes"]
    if number.scheme is None:
        out.append("its classes are not known exactly")
    elif number.scheme != scheme or number.classes != len(meta["classes"]):
        out.append(f"its classes are {number.scheme}")
    for name, ours in (("protocol", meta["protocol"]), ("selection", meta["selection"])):
        theirs = getattr(number, name)
        if theirs is None:
            out.append(f"its {name} is not known")
        elif theirs != ours:
            out.append(f"its {name} is {theirs}")
    trials = meta["calibration_trials"]
    if trials is not None and number.calibration_trials != trials:
        out.append(
            "its number of calibration trials is not known"
            if number.calibration_trials is None
            else f"it had {number.calibration_trials} calibration trials"
        )
    return out


def _pretrains(meta: Mapping[str, Any]) -> bool:
    """Whether a cell's method used the source, where that is only there to pre-train on."""
    config = meta.get("method", {}).get("config", {})
    return bool(config.get("pretraining", True)) or meta.get("base") != "pretrain-finetune"
