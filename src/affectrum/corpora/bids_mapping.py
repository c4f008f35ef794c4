"""The form of a mapping: what a BIDS data set does not say about itself, in one YAML file.

BIDS says where files are and what channels are called. It does not say which event begins a
trial, where the label stands or which clip was shown; a mapping does. Every part is typed: what
is misspelt or contradicts itself is named with its place (``trials.stop.events``).

>>> from affectrum.corpora.bids_mapping import load_mapping, ready_mappings
>>> "dens" in ready_mappings()
True
>>> load_mapping("dens").trials.onset_unit
'samples'
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from affectrum.corpora.bids_parts import (
    Array,
    Behaviour,
    Clips,
    Emotion,
    Events,
    Facts,
    Felt,
    Files,
    Part,
    Rating,
    Select,
    Signal,
    Stop,
)
from affectrum.errors import ConfigError, did_you_mean

__all__ = ["BidsMapping", "load_mapping", "ready_mappings"]

_MAX_BYTES: Final = 1 << 20


class BidsMapping(Part):
    """A mapping, see the module.

    Parameters
    ----------
    version : int
        Of the form of mappings.
    corpus : str
        Name in trial tables; a corpus of the catalogue takes its facts from there.
    description : str
        What the mapping is for, and how sure it is.
    files : Files
        Which files.
    trials : Events or None
        How events become trials.
    array : Array or None
        Instead: files that are arrays of trials.
    behaviour : Behaviour or None
        A table of trials beside the recordings.
    clips : Clips or None
        Which clip was shown; None where nothing tells.
    clips_by_session : bool
        A name of a clip means another clip in each session.
    emotion : Emotion or None
        Where emotion words come from.
    felt : Felt or None
        Where the emotions stand that people named.
    ratings : dict of str to Rating
        Where self-reports come from; "valence" and "arousal" put trials on the plane.
    signal : Signal
        Electrodes and unit.
    facts : Facts
        Title, licence and so on, for a corpus that the catalogue does not know.
    """

    version: Literal[1] = 1
    corpus: str = Field(min_length=1)
    description: str = ""
    files: Files = Files()
    trials: Events | None = None
    array: Array | None = None
    behaviour: Behaviour | None = None
    clips: Clips | None = None
    clips_by_session: bool = False
    emotion: Emotion | None = None
    felt: Felt | None = None
    ratings: dict[str, Rating] = Field(default={})
    signal: Signal = Signal()
    facts: Facts = Facts()

    @model_validator(mode="after")
    def _agree(self) -> BidsMapping:
        if (self.trials is None) == (self.array is None):
            raise ValueError("give one of trials, array")
        if (self.array is not None) != (self.files.extensions == (".npy",)):
            raise ValueError("files.extensions: [.npy] and array belong together")
        if self.array is not None and not self.signal.rows:
            raise ValueError("signal.rows: arrays name no electrodes, so the mapping must")
        parts = {"clips": self.clips, "emotion": self.emotion, "felt": self.felt} | {
            f"ratings.{name}": rating for name, rating in self.ratings.items()
        }
        for name, part in parts.items():
            if part is not None and part.source == "behaviour" and self.behaviour is None:
                raise ValueError(f"{name}.source is behaviour, but there is no behaviour")
        return self


def ready_mappings() -> tuple[str, ...]:
    """Return the names of the mappings that come with the package."""
    folder = resources.files("affectrum") / "data" / "bids"
    return tuple(sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".yaml")))


def load_mapping(given: str | Path) -> BidsMapping:
    """Return a mapping.

    Parameters
    ----------
    given : str or path
        The name of one of `ready_mappings`, or a YAML file.

    Returns
    -------
    BidsMapping
        The mapping.

    Raises
    ------
    ConfigError
        There is no such mapping, or it has faults; each is named with its place.
    """
    name = str(given)
    if name in ready_mappings():
        where = f"mapping {name!r}"
        text = (resources.files("affectrum") / "data" / "bids" / f"{name}.yaml").read_text("utf-8")
    else:
        path = Path(given)
        where = str(path)
        if not path.is_file():
            raise ConfigError(
                f"There is no mapping {name!r}: no file of that name, and ready mappings are "
                f"{', '.join(ready_mappings())}.{did_you_mean(name, ready_mappings())}"
            )
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ConfigError(f"{path}: larger than a mapping can be.")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: can't be read ({error}).") from None
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{where}: no YAML ({error}).") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: expected names and values, received {content!r:.200}.")
    try:
        return BidsMapping(**{str(name): value for name, value in content.items()})
    except ValidationError as error:
        faults = [_explain(fault) for fault in error.errors()]
        raise ConfigError(
            f"{where} has {len(faults)} fault{'s' if len(faults) > 1 else ''}:\n"
            + "\n".join(f"  - {fault}" for fault in faults)
        ) from None


def _explain(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"]) or "mapping"
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        known = _fields(fault["loc"][:-1])
        return f"{place}: no such field. Allowed are {', '.join(known)}." + did_you_mean(
            str(fault["loc"][-1]), known
        )
    if fault["type"] == "missing":
        return f"{place}: missing."
    return f"{place}: {message}; received {fault['input']!r:.120}."


def _fields(place: tuple[Any, ...]) -> list[str]:
    """Return the names of the fields of the part at a place."""
    parts: dict[str, type[Part]] = {
        "files": Files,
        "trials": Events,
        "array": Array,
        "behaviour": Behaviour,
        "clips": Clips,
        "emotion": Emotion,
        "felt": Felt,
        "ratings": Rating,
        "signal": Signal,
        "facts": Facts,
        "start": Select,
        "stop": Stop,
        "events": Select,
        "rest_start": Select,
        "rest_stop": Select,
    }
    kinds = [parts[str(part)] for part in place if str(part) in parts]
    return list((kinds[-1] if kinds else BidsMapping).model_fields)
