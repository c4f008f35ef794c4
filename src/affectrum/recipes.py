"""Recipes: everything between a vendor file and a window, under one name and one digest.

A recipe is the store's key together with the files' fingerprints, and what `make_folds` compares
before it lets corpora share a task. The steps run in one order for every corpus: common electrode
set, reference over that set, filtering, resampling, windows, features, smoothing.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from affectrum import catalog
from affectrum.errors import ConfigError, did_you_mean
from affectrum.features.smoothing import INITIAL_COV, OBSERVATION_COV, TRANSITION_COV

__all__ = ["COMMON", "RECIPES", "Recipe", "for_corpora", "get_recipe", "templates"]

COMMON = "common"
"""What stands for the electrodes in recipes that are made for the corpora of a task."""

# Fields that name a recipe and change no number; two recipes that differ only here are the same.
_NAMES = ("name", "description")
# Length of the digest in hexadecimal digits: 80 bits.
_DIGEST_LENGTH = 20

Kind = Literal["de", "power", "raw", "features"]


class Recipe(BaseModel):
    """From volts to windows, completely.

    Parameters
    ----------
    name : str
        How people call it; does not enter the digest.
    description : str
        One line; does not enter the digest.
    kind : {"de", "power", "raw", "features"}
        Differential entropy (nats), band power (V²), windows of the signal (volts), or, for
        shipped features only, what the vendor's file holds.
    source : str
        "computed" from signals, or "shipped:NAME" for a feature the vendor ships, such as
        "shipped:de_LDS". Shipped features are taken as they are: electrodes are picked by name
        and nothing else is done; they never share a task with computed ones.
    electrodes : str or tuple of str
        A set's name ("SEED62", "DEAP32") or canonical electrode names, in the order wanted.
    how : {"pick", "auto", "interpolate", "pad"}
        What happens where a corpus lacks electrodes of the set; see
        `affectrum.harmonise.harmonise_matrix`. "pick" refuses the corpus.
    reference : {"average", "none"}
        The common average over the set, or the reference of the file.
    bandpass : tuple of (float or None, float or None), or None
        Band edges in Hz of a Butterworth filter over the whole trial; None in place of an edge
        leaves that side open.
    filter_order : int
        Order of that filter's prototype, 1 to 12.
    notch_hz : float or None
        Mains frequency to remove.
    causal : bool
        Filter as a live system must: forward only. Otherwise without delay, forward and back.
    sfreq : float or None
        Rate in Hz to resample to after filtering; None keeps the corpus's rate.
    bands : str or dict of str to (float, float)
        A name of `affectrum.features.BANDS` or band edges in Hz; unused for kind "raw".
    window_s : float
        Window length in seconds.
    step_s : float or None
        Time between window starts in seconds; None for windows that touch.
    method : {"fft", "filter"}
        How the power in a band is estimated.
    bias_corrected : bool
        Correct the bias of the estimated entropy (`affectrum.features.differential_entropy`).
    scale : {"nats", "seed"}
        Scale of the entropy.
    smoothing : {"none", "lds", "lds-causal", "moving-average"}
        Smoothing of the features along each trial.
    smoothing_windows : int
        Length of the moving average, in windows.
    lds_transition_cov, lds_observation_cov, lds_initial_cov : float
        Variances of the linear dynamical system, in squared units of the feature; the defaults
        are those of `affectrum.features.smooth_lds`.
    artefact_flat_uv, artefact_amplitude_uv, artefact_jump_uv : float or None
        Limits in µV of `affectrum.signals.mark_artefacts`, on the measured electrodes of the set
        before re-referencing; None switches one off.
    artefact_muscle : float or None
        Largest share of 4-45 Hz power above 30 Hz; off by default because it costs a second
        Fourier transform.
    artefact_share : float
        A window is marked if more than this share of its electrodes is.

    Raises
    ------
    ConfigError
        If a value is not allowed or a parameter is unknown; every fault is listed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "own"
    description: str = ""
    kind: Kind = "de"
    source: str = Field(default="computed", pattern=r"^(computed|shipped:\w+)$")
    electrodes: str | tuple[str, ...] = "DEAP32"
    how: Literal["pick", "auto", "interpolate", "pad"] = "pick"
    reference: Literal["average", "none"] = "average"
    bandpass: tuple[float | None, float | None] | None = None
    filter_order: int = Field(default=4, ge=1, le=12)
    notch_hz: float | None = Field(default=None, gt=0)
    causal: bool = False
    sfreq: float | None = Field(default=None, gt=0)
    bands: str | dict[str, tuple[float, float]] = "cross-corpus"
    window_s: float = Field(default=1.0, gt=0)
    step_s: float | None = Field(default=None, gt=0)
    method: Literal["fft", "filter"] = "fft"
    bias_corrected: bool = False
    scale: Literal["nats", "seed"] = "nats"
    smoothing: Literal["none", "lds", "lds-causal", "moving-average"] = "none"
    smoothing_windows: int = Field(default=5, ge=1)
    # the defaults of `smooth_lds`, which gives their source
    lds_transition_cov: float = Field(default=TRANSITION_COV, ge=0)
    lds_observation_cov: float = Field(default=OBSERVATION_COV, gt=0)
    lds_initial_cov: float = Field(default=INITIAL_COV, ge=0)
    # 1 µV, 200 µV and 100 µV are the defaults of `mark_artefacts`, which gives their sources.
    artefact_flat_uv: float | None = Field(default=1.0, ge=0)
    artefact_amplitude_uv: float | None = Field(default=200.0, ge=0)
    artefact_jump_uv: float | None = Field(default=100.0, ge=0)
    artefact_muscle: float | None = Field(default=None, ge=0, le=1)
    # The project's choice: three of 32 electrodes, six of 62; a single bad electrode marks nothing.
    artefact_share: float = Field(default=0.1, ge=0, le=1)

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise ConfigError(_explain(error, data)) from error

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        faults = []
        for name, value in self:
            if isinstance(value, float) and not math.isfinite(value):
                faults.append(f"{name} is {value}; expected a finite number")
        if self.bandpass is not None:
            low, high = self.bandpass
            if low is None and high is None:
                faults.append("bandpass has no edge; give one, or null for no filter")
            if any(edge is not None and not edge > 0 for edge in self.bandpass):
                faults.append(f"bandpass is {self.bandpass}; edges must be above 0 Hz")
            if low is not None and high is not None and not low < high:
                faults.append(f"bandpass is {self.bandpass}; the first edge must be the lower one")
        faults += self._electrode_faults()
        if self.kind != "raw":
            faults += self._band_faults()
        if self.scale == "seed" and (self.method != "fft" or self.bias_corrected):
            faults.append("scale 'seed' goes only with method 'fft' and bias_corrected false")
        if self.scale == "seed" and self.kind != "de":
            faults.append(f"scale 'seed' is one of entropy; kind is {self.kind!r}")
        if self.computed:
            if self.kind == "features":
                faults.append("kind 'features' is for shipped features; set source: shipped:NAME")
            if self.kind == "raw" and self.smoothing != "none":
                faults.append(f"smoothing {self.smoothing!r} needs features; kind is 'raw'")
        else:
            faults += self._shipped_faults()
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _electrode_faults(self) -> list[str]:
        try:
            names = self.electrode_names()
        except ValueError as error:
            return [f"electrodes: {error}"]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names:
            return ["electrodes is empty; name at least one"]
        return [f"electrodes named twice: {', '.join(twice)}"] if twice else []

    def _band_faults(self) -> list[str]:
        try:
            resolved = self.resolved_bands()
        except ValueError as error:
            return [f"bands: {error}"]
        return [] if resolved else ["bands is empty; name at least one"]

    def _shipped_faults(self) -> list[str]:
        """Shipped features are taken as they are, so nothing that computes may be asked for."""
        plain: dict[str, Any] = {
            "how": "pick",
            "reference": "none",
            "bandpass": None,
            "notch_hz": None,
            "sfreq": None,
            "smoothing": "none",
            "bias_corrected": False,
        }
        faults = [
            f"{name} is {getattr(self, name)!r}, but shipped features are taken as they are; "
            f"expected {value!r}"
            for name, value in plain.items()
            if getattr(self, name) != value
        ]
        if self.kind == "raw":
            faults.append("kind 'raw' needs signals, but the source is a shipped feature")
        return faults

    # ---------------------------------------------------------------- reading

    @property
    def computed(self) -> bool:
        """bool: whether windows are computed from signals (and not shipped by the vendor)."""
        return self.source == "computed"

    @property
    def shipped_feature(self) -> str | None:
        """Name of the vendor's feature, or None if windows are computed."""
        return None if self.computed else self.source.removeprefix("shipped:")

    def electrode_names(self) -> tuple[str, ...]:
        """Return the electrodes of the set, in order.

        Returns
        -------
        tuple of str
        """
        from affectrum.harmonise import electrode_set

        wanted = self.electrodes if isinstance(self.electrodes, str) else list(self.electrodes)
        return tuple(electrode_set(wanted))

    def resolved_bands(self) -> tuple[Any, ...]:
        """Return the bands with their edges.

        Returns
        -------
        tuple of Band
            Empty for kind "raw".
        """
        if self.kind == "raw":
            return ()
        from affectrum.features import get_bands

        return tuple(get_bands(self.bands))

    def digest(self) -> str:
        """Return the digest of every parameter but the names.

        Electrode sets and bands enter with their content, so that a name and the list that it
        stands for are the same recipe, and a changed list is another one.

        Returns
        -------
        str
            20 hexadecimal digits.
        """
        content = self.model_dump(mode="json", exclude=set(_NAMES))
        content["electrodes"] = list(self.electrode_names())
        content["bands"] = [
            [band.name, float(band.low), float(band.high)] for band in self.resolved_bands()
        ]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.blake2b(text.encode(), digest_size=_DIGEST_LENGTH // 2).hexdigest()

    def replace(self, **changes: Any) -> Recipe:
        """Return a copy with some parameters changed and checked again.

        Parameters
        ----------
        **changes
            Parameters of the recipe.

        Returns
        -------
        Recipe
        """
        return Recipe(**{**self.model_dump(), **changes})

    # ---------------------------------------------------------------- YAML

    @classmethod
    def from_yaml(cls, path: str | Path) -> Recipe:
        """Read a recipe from a YAML file.

        Parameters
        ----------
        path : str or Path
            The file. A key `base` may name one of `RECIPES` whose values hold where the file says
            nothing.

        Returns
        -------
        Recipe

        Raises
        ------
        ConfigError
            If the file can't be read, is not YAML, or holds values that are not allowed.
        """
        import yaml

        path = Path(path)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The recipe file {path} can't be read: {error}.") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"The recipe file {path} is not valid YAML: {error}") from error
        if not isinstance(content, Mapping):
            raise ConfigError(
                f"The recipe file {path} holds {type(content).__name__}; expected lines of "
                "'parameter: value', for example 'window_s: 1.0'."
            )
        values = {"name": path.stem, **{str(key): value for key, value in content.items()}}
        base = values.pop("base", None)
        try:
            if base is not None:
                values = {**get_recipe(str(base)).model_dump(), "description": "", **values}
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"In the recipe file {path}: {error}") from error

    def to_yaml(self, path: str | Path) -> Path:
        """Write the recipe as YAML, every parameter spelt out.

        Parameters
        ----------
        path : str or Path
            The file to write.

        Returns
        -------
        Path
        """
        import yaml

        path = Path(path)
        text = yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
        )
        path.write_text(text, encoding="utf-8")
        return path


def _explain(error: ValidationError, data: Mapping[str, Any]) -> str:
    """Turn pydantic's findings into sentences with what is allowed and what was received."""
    lines = []
    for item in error.errors():
        name = str(item["loc"][0]) if item["loc"] else ""
        if item["type"] == "extra_forbidden":
            known = list(Recipe.model_fields)
            hint = did_you_mean(name, known)
            lines.append(
                f"{name!r} is no parameter of a recipe.{hint or ' Known: ' + ', '.join(known)}"
            )
        elif item["type"] == "value_error" and not name:
            lines.extend(str(item["ctx"]["error"]).splitlines())
        elif item["type"] == "literal_error":
            hint = did_you_mean(str(item["input"]), _options(name))
            lines.append(
                f"{name} is {item['input']!r}; allowed are {item['ctx']['expected']}.{hint}"
            )
        elif item["type"] == "string_pattern_mismatch" and name == "source":
            lines.append(
                f"source is {item['input']!r}; allowed are 'computed' and 'shipped:NAME', for "
                "example 'shipped:de_LDS'"
            )
        else:
            what = item["msg"].replace("Input should be", "expected")
            lines.append(f"{name} is {item['input']!r}: {what}")
    lines = list(dict.fromkeys(lines))
    title = f"The recipe {data.get('name', 'own')!r} can't be used."
    return "\n".join([title, *(f"  - {line}" for line in lines)])


def _options(name: str) -> tuple[str, ...]:
    field = Recipe.model_fields.get(name)
    return tuple(str(value) for value in getattr(field and field.annotation, "__args__", ()))


class _Recipes(Mapping[str, Recipe]):
    """The named recipes of `data/recipes.yaml`, read when they are first asked for."""

    def __init__(self) -> None:
        self._built: dict[str, Recipe] = {}

    @functools.cached_property
    def _definitions(self) -> dict[str, dict[str, Any]]:
        return {name: d for name, d in self._all.items() if d.get("electrodes") != COMMON}

    @functools.cached_property
    def templates(self) -> dict[str, dict[str, Any]]:
        """Recipes at the electrodes that the corpora of a task share, without these."""
        return {name: d for name, d in self._all.items() if d.get("electrodes") == COMMON}

    @functools.cached_property
    def _all(self) -> dict[str, dict[str, Any]]:
        import yaml

        text = resources.files("affectrum").joinpath("data/recipes.yaml").read_text("utf-8")
        # libyaml where PyYAML was built with it: ten times as fast
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return dict(yaml.load(text, Loader=loader))

    def __getitem__(self, name: str) -> Recipe:
        if name not in self._built:
            self._built[name] = Recipe(name=name, **self._definitions[name])
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)


#: The named recipes, name -> Recipe; `description` says in a line what each is for.
RECIPES: Mapping[str, Recipe] = _Recipes()

_FILLED = re.compile(r"(?P<name>[\w-]+)\((?P<corpora>[^()]+)\)")


def templates() -> dict[str, str]:
    """Return the recipes that are made for the corpora of a task, name -> description.

    Their electrodes are those that all of the corpora have. A plan fills the corpora in; elsewhere
    they are given as in ``"de-common(SEED, FACED)"``.
    """
    assert isinstance(RECIPES, _Recipes)
    return {name: str(d.get("description", "")) for name, d in RECIPES.templates.items()}


def for_corpora(recipe: str, corpora: Iterable[str]) -> str:
    """Return the recipe's name with the corpora filled in, if it is one of `templates`.

    Parameters
    ----------
    recipe : str
        Any recipe's name or file.
    corpora : iterable of str
        Corpora of one task.

    Returns
    -------
    str
        For example ``"de-common(FACED, SEED)"``, corpora in alphabetical order; `recipe` as it is
        if it is no template.
    """
    if recipe.casefold() not in templates():
        return recipe
    named = sorted({catalog.get(name).name if catalog.is_known(name) else name for name in corpora})
    return f"{recipe.casefold()}({', '.join(named)})"


def _fill_template(text: str) -> Recipe | None:
    assert isinstance(RECIPES, _Recipes)
    filled = _FILLED.fullmatch(text.strip())
    name = (filled["name"] if filled else text).casefold()
    if name not in RECIPES.templates:
        return None
    if filled is None:
        raise ConfigError(
            f"The recipe {name!r} takes the electrodes that several corpora have in common; say "
            f"which, as in '{name}(SEED, FACED)'. In a plan the task's corpora are filled in."
        )
    values = {**RECIPES.templates[name], "electrodes": f"common({filled['corpora']})"}
    return Recipe(name=text.strip(), **values)


def get_recipe(recipe: str | Path | Recipe) -> Recipe:
    """Find a recipe by its name or read it from a YAML file.

    Parameters
    ----------
    recipe : str, Path or Recipe
        A name of `RECIPES`, a path that ends in .yaml or .yml, one of `templates` with its corpora
        as in ``"de-common(SEED, FACED)"``, or a recipe, which is returned.

    Returns
    -------
    Recipe

    Raises
    ------
    ConfigError
        If there is no such name or file, or the file is faulty.

    Examples
    --------
    >>> get_recipe("de62").window_s
    1.0
    """
    if isinstance(recipe, Recipe):
        return recipe
    text = str(recipe)
    if text in RECIPES:
        return RECIPES[text]
    if text.casefold() in RECIPES:
        return RECIPES[text.casefold()]
    filled = _fill_template(text)
    if filled is not None:
        return filled
    if Path(text).suffix.casefold() in (".yaml", ".yml"):
        return Recipe.from_yaml(text)
    raise ConfigError(
        f"There is no recipe {text!r}. Known recipes: {', '.join([*RECIPES, *templates()])}; or "
        f"give a file that ends in .yaml.{did_you_mean(text, [*RECIPES, *templates()])}"
    )
