"""Column-wise scaling of windows, with a record of the rows that were seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError, check_option

__all__ = ["KINDS", "Scaler", "ScalerRecord"]

#: "standard": mean 0, SD 1. "minmax": 0..1. "robust": median 0, median absolute deviation 1.
KINDS: tuple[str, ...] = ("standard", "minmax", "robust", "none")

# Values converted to float64 at a time: 4 million take 32 MB.
_BLOCK_VALUES = 4_000_000
# A column counts as constant if its spread is below this share of its largest magnitude: float32
# features carry a relative rounding error of 6e-8, and dividing by rounding noise would blow it up.
_CONSTANT = 1e-6


@dataclass(frozen=True)
class ScalerRecord:
    """What a scaler was fitted on, for the leak audit and the result record.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    roles : tuple of str
        Whose rows were seen: "source", "calibration", "validation", "test".
    corpora : tuple of str
        Corpora of those rows.
    subjects : tuple of str
        ``"SEED/3"`` for each subject of those rows.
    n_rows : int
        How many windows were seen.
    digest : str
        Digest of the sorted identifiers of those rows.
    ids : ndarray of uint64, shape (n_rows,)
        The identifiers (`affectrum.protocols.identity.row_ids`); not part of `to_dict`.
    """

    kind: str
    roles: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    n_rows: int = 0
    digest: str = ""
    ids: NDArray[np.uint64] = field(
        default_factory=lambda: np.zeros(0, dtype=np.uint64), repr=False, compare=False
    )

    def with_roles(self, *roles: str) -> ScalerRecord:
        """Return a copy that says whose rows were seen."""
        return replace(self, roles=roles)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the identifiers, as plain data."""
        return {
            "kind": self.kind,
            "roles": list(self.roles),
            "corpora": list(self.corpora),
            "subjects": list(self.subjects),
            "n_rows": self.n_rows,
            "digest": self.digest,
        }


class Scaler:
    """Scale each column (electrode x band, or electrode for signals) by fitted statistics.

    Parameters
    ----------
    kind : {"standard", "minmax", "robust", "none"}
        "standard" subtracts the mean and divides by the standard deviation (of the population,
        ``ddof=0``), "minmax" maps the seen range to 0..1, "robust" subtracts the median and
        divides by the median absolute deviation, "none" changes nothing.
    per : {"feature", "channel"}
        "feature": every entry of a window is a column. "channel": all samples of an electrode
        form one column, which is what signals need.

    Attributes
    ----------
    center_, scale_ : ndarray of float64, shape (n_channels, n_features) or (n_channels, 1)
        ``transform`` gives ``(x - center_) / scale_``. Constant columns have scale 1, so they
        become 0 and not NaN.
    record : ScalerRecord
        What it was fitted on.

    Raises
    ------
    ConfigError
        If a parameter has a value that is not allowed.
    """

    def __init__(self, kind: str = "standard", *, per: str = "feature") -> None:
        self.kind = check_option("kind", kind, KINDS)
        self.per = check_option("per", per, ("feature", "channel"))
        self.record = ScalerRecord(kind)

    def fit(
        self,
        x: NDArray[Any],
        ids: NDArray[np.uint64] | None = None,
        *,
        roles: tuple[str, ...] = (),
        corpora: tuple[str, ...] = (),
        subjects: tuple[str, ...] = (),
    ) -> Self:
        """Learn the statistics of some windows, in float64 and block by block.

        Parameters
        ----------
        x : ndarray, shape (n_windows, n_channels, n_features)
            The windows; may be a memory map.
        ids : ndarray of uint64, shape (n_windows,), optional
            Identifiers of the rows, for the record.
        roles, corpora, subjects : tuple of str
            For the record.

        Returns
        -------
        Scaler
            Itself.

        Raises
        ------
        ConfigError
            If there are no windows, or values that are not finite.
        """
        if x.ndim != 3 or not len(x):
            raise ConfigError(
                f"A scaler is fitted on windows of shape (n_windows, n_channels, n_features) with "
                f"at least one window; received shape {x.shape}."
            )
        if self.kind == "none":
            shape = self._columns(x)
            center, scale = np.zeros(shape), np.ones(shape)
        else:
            statistics = {
                "standard": self._mean_and_sd,
                "minmax": self._minimum_and_range,
                "robust": self._median_and_mad,
            }
            # Inf - Inf is reported below with words, not as a warning.
            with np.errstate(invalid="ignore"):
                center, scale = statistics[self.kind](x)
        if not np.isfinite(center).all() or not np.isfinite(scale).all():
            bad = ~(np.isfinite(center) & np.isfinite(scale))
            raise ConfigError(
                f"A scaler was given NaN or Inf in {int(bad.any(axis=1).sum())} of {x.shape[1]} "
                "electrodes. Leave those windows out (mark them in the column 'artefact') first."
            )
        magnitude = np.maximum(np.abs(center), np.abs(center + scale))
        constant = scale <= _CONSTANT * magnitude
        self.center_ = center
        self.scale_ = np.where(constant | (scale == 0), 1.0, scale)
        seen = np.zeros(0, dtype=np.uint64) if ids is None else np.sort(np.asarray(ids, np.uint64))
        self.record = ScalerRecord(
            kind=self.kind,
            roles=roles,
            corpora=corpora,
            subjects=subjects,
            n_rows=len(x),
            digest=hashlib.sha256(seen.astype("<u8").tobytes()).hexdigest()[:32],
            ids=seen,
        )
        return self

    def transform(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Scale windows.

        Parameters
        ----------
        x : ndarray, shape (n_windows, n_channels, n_features)
            Windows with the electrodes and features it was fitted on.

        Returns
        -------
        ndarray of float32, same shape
            A new array; `x` itself for kind "none".

        Raises
        ------
        ConfigError
            If it is not fitted, or the shape does not fit.
        """
        self._check(x)
        if self.kind == "none":
            return np.asarray(x, dtype=np.float32)
        out = np.empty(x.shape, dtype=np.float32)
        for block in _blocks(x):
            values = np.asarray(x[block], dtype=np.float64)
            values -= self.center_
            values /= self.scale_
            out[block] = values
        return out

    def inverse_transform(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Undo `transform`; same shapes and errors."""
        self._check(x)
        out = np.empty(x.shape, dtype=np.float32)
        for block in _blocks(x):
            out[block] = np.asarray(x[block], dtype=np.float64) * self.scale_ + self.center_
        return out

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the statistics as arrays, for a bundle.

        Returns
        -------
        dict
            ``center`` and ``scale`` (float64), ``kind`` and ``per`` (bytes as uint8).
        """
        self._check(None)
        return {
            "center": self.center_.copy(),
            "scale": self.scale_.copy(),
            "kind": np.frombuffer(self.kind.encode(), dtype=np.uint8).copy(),
            "per": np.frombuffer(self.per.encode(), dtype=np.uint8).copy(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Scaler:
        """Restore a scaler from `to_arrays`; its record is empty.

        Raises
        ------
        ConfigError
            If an array is missing or does not fit.
        """
        missing = [name for name in ("center", "scale", "kind", "per") if name not in arrays]
        if missing:
            raise ConfigError(
                f"A stored scaler lacks {', '.join(missing)}; it holds {', '.join(arrays)}."
            )
        words = [
            bytes(np.asarray(arrays[name], dtype=np.uint8)).decode() for name in ("kind", "per")
        ]
        scaler = cls(words[0], per=words[1])
        scaler.center_ = np.array(arrays["center"], dtype=np.float64)
        scaler.scale_ = np.array(arrays["scale"], dtype=np.float64)
        if scaler.center_.ndim != 2 or scaler.center_.shape != scaler.scale_.shape:
            raise ConfigError(
                f"A stored scaler has center {scaler.center_.shape} and scale "
                f"{scaler.scale_.shape}; expected one shape (n_channels, n_features)."
            )
        return scaler

    # ---------------------------------------------------------------- inside

    def _columns(self, x: NDArray[Any]) -> tuple[int, int]:
        return (x.shape[1], x.shape[2] if self.per == "feature" else 1)

    def _axes(self) -> int | tuple[int, int]:
        return 0 if self.per == "feature" else (0, 2)

    def _mean_and_sd(self, x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Two passes: the one-pass formula loses digits where the mean is large.
        shape, axes = self._columns(x), self._axes()
        n = len(x) * (1 if self.per == "feature" else x.shape[2])
        total = np.zeros(shape)
        for block in _blocks(x):
            total += np.asarray(x[block], dtype=np.float64).sum(axis=axes).reshape(shape)
        mean = total / n
        squares = np.zeros(shape)
        for block in _blocks(x):
            deviation = np.asarray(x[block], dtype=np.float64) - mean
            squares += np.square(deviation, out=deviation).sum(axis=axes).reshape(shape)
        return mean, np.sqrt(squares / n)

    def _minimum_and_range(
        self, x: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        shape, axes = self._columns(x), self._axes()
        low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
        for block in _blocks(x):
            values = np.asarray(x[block], dtype=np.float64)
            np.minimum(low, values.min(axis=axes).reshape(shape), out=low)
            np.maximum(high, values.max(axis=axes).reshape(shape), out=high)
        return low, high - low

    def _median_and_mad(self, x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # A median needs a whole column, so memory is bounded by taking a few electrodes at a time.
        center, scale = np.empty(self._columns(x)), np.empty(self._columns(x))
        per_channel = len(x) * x.shape[2]
        step = max(1, _BLOCK_VALUES // max(1, per_channel))
        axes = self._axes()
        for start in range(0, x.shape[1], step):
            stop = min(start + step, x.shape[1])
            values = np.array(x[:, start:stop], dtype=np.float64)
            # The median passes over NaN and Inf that a mean would show; mark their electrodes.
            broken = ~np.isfinite(values).all(axis=(0, 2))
            values[:, broken] = 0.0
            shape = (stop - start, center.shape[1])
            middle = np.median(values, axis=axes).reshape(shape)
            center[start:stop] = middle
            scale[start:stop] = np.median(np.abs(values - middle), axis=axes).reshape(shape)
            scale[start:stop][broken] = np.nan
        return center, scale

    def _check(self, x: NDArray[Any] | None) -> None:
        if not hasattr(self, "center_"):
            raise ConfigError("This scaler is not fitted: call fit(x) first.")
        if x is None:
            return
        fits = x.ndim == 3 and x.shape[1] == self.center_.shape[0]
        if self.per == "feature":
            fits = fits and x.shape[2] == self.center_.shape[1]
        if not fits:
            raise ConfigError(
                f"This scaler was fitted on windows of (n_channels, n_features) = "
                f"{self.center_.shape}; received windows of shape {x.shape}."
            )


def _blocks(x: NDArray[Any]) -> Iterator[slice]:
    rows = max(1, _BLOCK_VALUES // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), rows):
        yield slice(start, min(start + rows, len(x)))
