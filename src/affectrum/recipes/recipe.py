"""The recipe: every parameter between volts and windows, checked together, and its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from affectrum.errors import ConfigError, did_you_mean
from affectrum.features.smoothing import INITIAL_COV, OBSERVATION_COV, TRANSITION_COV

__all__ = ["COMMON", "OWN", "Recipe"]

COMMON = "common"
"""What stands for the electrodes in recipes that are made for the corpora of a task."""

OWN = "own"
"""What stands for the electrodes in recipes that take those of each corpus."""

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
        A set's name ("SEED62", "DEAP32") or canonical electrode names, in the order wanted; "own"
        takes all EEG electrodes of each corpus (or recording), in the order of its files.
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
    resample_rates : dict of float to float, or None
        The same for some rates only: rate of the file in Hz -> rate to resample to; signals of
        other rates are kept as they are. Not together with `sfreq`.
    ica : {"none", "fastica"}
        Remove eye movements from each trial by independent components, after filtering and
        resampling and before re-referencing (`affectrum.signals.remove_eye_components`). Slow.
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
    resample_rates: dict[float, float] | None = None
    ica: Literal["none", "fastica"] = "none"
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
        faults += self._electrode_faults() + self._rate_faults()
        if self.ica != "none" and self.causal:
            faults.append("ica looks at the whole trial, so causal must be false")
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

    def _rate_faults(self) -> list[str]:
        if self.resample_rates is None:
            return []
        if self.sfreq is not None:
            return ["sfreq and resample_rates both say the rate; leave one out"]
        rates = [*self.resample_rates, *self.resample_rates.values()]
        wrong = [rate for rate in rates if not (math.isfinite(rate) and rate > 0)]
        return [f"resample_rates holds {wrong[0]:g}; rates must be above 0 Hz"] if wrong else []

    def _electrode_faults(self) -> list[str]:
        if self.own_electrodes:
            allowed = self.how == "pick"
            return [] if allowed else [f"electrodes 'own' are all there; how is {self.how!r}"]
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
            "resample_rates": None,
            "ica": "none",
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

    @property
    def own_electrodes(self) -> bool:
        """bool: whether each corpus keeps its own electrodes."""
        return isinstance(self.electrodes, str) and self.electrodes.casefold() == OWN

    def electrode_names(self, own: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return the electrodes of the set, in order.

        Parameters
        ----------
        own : sequence of str, optional
            Electrodes of the corpus or recording, which recipes with electrodes "own" take.

        Returns
        -------
        tuple of str

        Raises
        ------
        ConfigError
            If the recipe takes a corpus's own electrodes and `own` is not given.
        """
        if self.own_electrodes:
            if own is None:
                raise ConfigError(
                    f"The recipe {self.name!r} takes the electrodes of each corpus; it has none of "
                    "its own."
                )
            return tuple(own)
        from affectrum.harmonise import electrode_set

        wanted = self.electrodes if isinstance(self.electrodes, str) else list(self.electrodes)
        return tuple(electrode_set(wanted))

    def rate_of(self, sfreq: float) -> float:
        """Return the rate that signals of a rate are resampled to.

        Parameters
        ----------
        sfreq : float
            Rate of the file in Hz.

        Returns
        -------
        float
            In Hz; the same where nothing is resampled.
        """
        if self.sfreq is not None:
            return float(self.sfreq)
        return float((self.resample_rates or {}).get(float(sfreq), sfreq))

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
        content["electrodes"] = OWN if self.own_electrodes else list(self.electrode_names())
        # left out where unused, so that windows made before these existed are found again
        rates = content.pop("resample_rates")
        if rates is not None:
            content["resample_rates"] = sorted((float(a), float(b)) for a, b in rates.items())
        if content["ica"] == "none":
            del content["ica"]
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

        from affectrum.recipes.named import get_recipe

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
