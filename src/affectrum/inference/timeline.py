"""What a model says about a recording, window by window, and how far to trust it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import FileFormatError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Timeline", "read_timeline"]

_HEADER_MARK = "# "
# A tenth of a per mille is far below any model's own uncertainty.
_DECIMALS = 4


@dataclass(frozen=True)
class Timeline:
    """Predictions over time.

    Attributes
    ----------
    table : DataFrame, one row per window
        ``start_s``, ``end_s`` (seconds from the start of the recording), ``class`` (the most
        probable one), ``p_<class>`` (probabilities), ``valence`` and ``arousal`` (-1..1, missing
        where the model can't tell), ``novelty`` (distance from the training windows divided by
        the distance that 99 % of training windows keep; missing where the bundle has no
        statistics), ``novel`` (beyond it) and ``artefact``.
    classes : tuple of str
        Class names in the order of the ``p_`` columns.
    warnings : tuple of str
        Everything a reader should know, one sentence or two each.
    trust : str
        How far to trust it, in plain words.
    trust_level : {"demonstration only", "low", "limited"}
        The same in one word or two; no model of emotion earns more on an unknown person.
    coverage : float
        Share of the model's electrodes that were measured.
    meta : dict
        Provenance: recording, model, scaling, counts; JSON-able.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    warnings: tuple[str, ...]
    trust: str
    trust_level: str
    coverage: float
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def simulated(self) -> bool:
        """Whether the model was trained on simulated data."""
        return bool(self.meta.get("model", {}).get("simulated", False))

    @property
    def novel_share(self) -> float:
        """Share of windows unlike the training windows; NaN where it can't be told."""
        if not len(self.table) or self.table["novelty"].isna().all():
            return float("nan")
        return float(self.table["novel"].mean())

    def scores(self) -> NDArray[np.float64]:
        """Class probabilities, shape (n_windows, n_classes)."""
        return self.table[[f"p_{name}" for name in self.classes]].to_numpy(dtype=np.float64)

    def summary(self) -> dict[str, Any]:
        """Return the main figures as plain data.

        Returns
        -------
        dict
            Windows, share per class, mean valence and arousal of the windows without artefacts
            (None where the model can't tell), share of artefact and of novel windows.
        """
        clean = self.table.loc[~self.table["artefact"]]
        shares = clean["class"].value_counts(normalize=True)
        return {
            "n_windows": len(self.table),
            "n_without_artefact": len(clean),
            "class_shares": {name: float(shares.get(name, 0.0)) for name in self.classes},
            "valence": _none_if_nan(clean["valence"].mean()) if len(clean) else None,
            "arousal": _none_if_nan(clean["arousal"].mean()) if len(clean) else None,
            "artefact_share": float(self.table["artefact"].mean()) if len(self.table) else None,
            "novel_share": _none_if_nan(self.novel_share),
            "trust_level": self.trust_level,
        }

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write the table with its provenance.

        The first lines start with ``#`` (``pandas.read_csv(path, comment="#")`` skips them,
        `read_timeline` reads them too); missing values are empty.

        Parameters
        ----------
        path : path
            The file; replaced whole.

        Returns
        -------
        Path
            The file.
        """
        target = Path(path)
        lines = ["Affectrum timeline"]
        if self.simulated:
            lines.append("MODEL TRAINED ON SIMULATED DATA: a demonstration, not a measurement")
        lines += [f"trust ({self.trust_level}): {line}" for line in self.trust.splitlines()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        document = {
            "classes": list(self.classes),
            "warnings": list(self.warnings),
            "trust": self.trust,
            "trust_level": self.trust_level,
            "coverage": self.coverage,
            "summary": self.summary(),
            "meta": self.meta,
        }
        lines.append(
            "json: " + json.dumps(document, ensure_ascii=False, sort_keys=True, allow_nan=False)
        )
        header = "".join(f"{_HEADER_MARK}{' '.join(line.split())}\n" for line in lines)
        body = self.table.round(_DECIMALS).to_csv(index=False, lineterminator="\n")
        _write_text(target, header + body)
        return target

    def plot(
        self, path: str | os.PathLike[str] | None = None, *, title: str | None = None
    ) -> Figure:
        """Draw the timeline.

        Parameters
        ----------
        path : path, optional
            Where to save it (PNG, SVG or PDF by its ending).
        title : str, optional
            By default the recording's name.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from affectrum.inference.figure import draw_timeline

        return draw_timeline(self, path, title=title)

    def __str__(self) -> str:
        summary = self.summary()
        name = self.meta.get("recording", {}).get("name") or "recording"
        shares = ", ".join(f"{key} {value:.0%}" for key, value in summary["class_shares"].items())
        parts = [f"{name}: {summary['n_windows']} windows", f"classes: {shares}"]
        for axis in ("valence", "arousal"):
            value = summary[axis]
            parts.append(f"mean {axis}: " + ("not told" if value is None else f"{value:+.2f}"))
        parts.append(f"trust: {self.trust_level}")
        return "; ".join(parts)


def read_timeline(path: str | os.PathLike[str]) -> Timeline:
    """Read a timeline that `Timeline.to_csv` wrote.

    Parameters
    ----------
    path : path
        The CSV file.

    Returns
    -------
    Timeline

    Raises
    ------
    FileFormatError
        If the file is not such a CSV.
    """
    import pandas as pd

    target = Path(path)
    document: Mapping[str, Any] | None = None
    with target.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                break
            text = line[len(_HEADER_MARK) :]
            if text.startswith("json: "):
                document = json.loads(text.removeprefix("json: "))
    if document is None:
        raise FileFormatError(
            f"{target}: has no header line '# json: ...', so it is not a timeline written by "
            "`affectrum predict`."
        )
    table = pd.read_csv(target, comment="#")
    return Timeline(
        table=table,
        classes=tuple(document["classes"]),
        warnings=tuple(document["warnings"]),
        trust=str(document["trust"]),
        trust_level=str(document["trust_level"]),
        coverage=float(document["coverage"]),
        meta=dict(document["meta"]),
    )


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
