"""What a run stores for figures beside its predictions: ``<run>/extras``.

Extras are computed while a cell's model is at hand, after training, and never used for anything
else. ``extras/index.json`` lists them; use `list_extras` and `load_extras`. Every entry has
``kind``, ``file``, ``title``, ``simulated`` and, except for "features", ``cell``, ``task``,
``method``, ``seed`` and ``protocol``. Arrays are plain numbers or fixed-width strings.

kind "features" (one file per recipe, ``features-<recipe>.npz``): topographic maps
    ``corpora`` (n_corpora,) names · ``classes`` (n_classes,) names · ``channels`` (n_channels,)
    · ``bands`` (n_bands,) names · ``band_edges`` (n_bands, 2) Hz ·
    ``mean`` (n_corpora, n_classes, n_channels, n_bands) mean over subjects of each subject's
    mean feature, as the windows hold it (DE in nats for "de" recipes), NaN where a corpus has no
    trial of the class · ``contrast`` the same shape: class mean minus the mean over classes, in
    units of the SD over all windows of the corpus · ``overall`` (n_corpora, n_channels, n_bands)
    mean over subjects · ``n_subjects`` (n_corpora,) · ``unit`` () "nats", "V^2" or "".

kind "importance" (``importance-<cell>.npz``): which regions a trained model relies on
    ``regions`` (n_regions,) names of `affectrum.electrodes.REGIONS` that the electrodes cover ·
    ``drop`` (n_folds, n_regions) balanced accuracy on the test minus the one after the region's
    features were permuted across the fold's test windows, mean over ``repeats`` permutations ·
    ``baseline`` (n_folds,) balanced accuracy without permutation · ``subjects`` (n_folds,) ·
    ``folds`` (n_folds,) names · ``channels`` (n_channels,) · ``channel_region`` (n_channels,)
    region of each electrode ("" where it has none) · ``repeats`` ().

kind "embeddings" (``embeddings-<cell>.npz``): one fold before and after transfer, of methods
that pre-train
    ``domain`` (n,) 0 source, 1 target test · ``y`` (n,) class index in its own domain's classes,
    -1 where not known · ``corpus`` (n,) · ``subject`` (n,) · ``trial`` (n,) number of the trial
    within this file · ``classes`` and ``source_classes`` names · ``stages`` (n_stages,) some of
    "input" (where all windows have one shape), "pretrained", "finetuned" · for each stage
    ``embedding_<stage>`` (n, d) float32 (at most 50 principal components) and ``tsne_<stage>``
    (n, 2) coordinates without meaning · ``fold`` () its name.

kind "soft-weights" (``soft-weights-<cell>.json``): what a contrastive method's weights follow
    The method's own JSON: for SCMM ``by_time`` (records from_s, to_s, n_pairs, mean_weight,
    sd_weight), ``by_relation`` (records relation, classes, n_pairs, mean_weight, sd_weight),
    ``share_of_neighbours``, ``sampler``, ``n_batches``, ``batch_size``, ``simulated``.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrum.benchmark.files import load_arrays, pack_arrays, text_array, write_file
from affectrum.errors import StoreError

if TYPE_CHECKING:
    from affectrum.methods.base import Method
    from affectrum.protocols import Fold
    from affectrum.protocols.fold import Scheme
    from affectrum.windows import Windows

__all__ = [
    "ImportanceCollector",
    "add_extra",
    "class_means",
    "embeddings",
    "list_extras",
    "load_extras",
    "region_drops",
]

_REPEATS = 3
# Networks on signals take long to score a window: permutations look at so many of a fold's.
_SIGNALS = 64
# Points of a t-SNE picture from each domain: readable, and a few seconds to compute.
_POINTS = 200
_COMPONENTS = 50


# ---------------------------------------------------------------------------- the folder


def list_extras(run: str | Path, kind: str | None = None) -> list[dict[str, Any]]:
    """Return the entries of a run's extras, in the order in which they were stored.

    Parameters
    ----------
    run : path
        The run's folder.
    kind : str, optional
        Only this kind.

    Returns
    -------
    list of dict
        Empty if there are none.
    """
    folder = Path(run) / "extras"
    entries = []
    for path in sorted(folder.glob("*.entry.json")) if folder.is_dir() else []:
        try:
            entries.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} can't be read: {error}") from error
    entries = [entry for entry in entries if (folder / entry["file"]).exists()]
    return [entry for entry in entries if kind is None or entry["kind"] == kind]


def load_extras(run: str | Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return one entry's arrays (or its JSON data).

    Raises
    ------
    StoreError
        If the file can't be read.
    """
    path = Path(run) / "extras" / str(entry["file"])
    if path.suffix == ".json":
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} can't be read: {error}") from error
    return dict(load_arrays(path))


def add_extra(
    run: Path,
    name: str,
    content: Mapping[str, NDArray[Any]] | Mapping[str, Any],
    entry: Mapping[str, Any],
    *,
    as_json: bool = False,
) -> None:
    """Store one extra: the content, then the entry that makes it known."""
    file = f"{name}.json" if as_json else f"{name}.npz"
    data = json.dumps(_plain(content), indent=1).encode() if as_json else pack_arrays(dict(content))
    folder = run / "extras"
    write_file(folder / file, data)
    record = {**entry, "file": file}
    write_file(folder / f"{name}.entry.json", json.dumps(record, indent=1).encode())


def _plain(data: Any) -> Any:
    """JSON-able copy; NaN and Inf become None."""
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_plain(value) for value in data]
    if isinstance(data, np.ndarray):
        return _plain(data.tolist())
    if isinstance(data, np.generic):
        return _plain(data.item())
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


# ------------------------------------------------------------------------- topographic maps


def class_means(parts: Sequence[Windows], scheme: Scheme) -> dict[str, NDArray[Any]]:
    """Mean feature per corpus, class, electrode and band; see the module's docstring.

    Parameters
    ----------
    parts : sequence of Windows
        One per corpus, of one recipe.
    scheme : Scheme
        The class scheme. A corpus that it does not fit has only its overall mean.
    """
    from affectrum.errors import LabelError
    from affectrum.protocols.fold import trial_labels
    from affectrum.protocols.identity import trial_codes

    n_classes = len(scheme.classes)
    shape = (parts[0].shape[1], parts[0].shape[2])
    mean = np.full((len(parts), n_classes, *shape), np.nan)
    contrast = np.full_like(mean, np.nan)
    overall = np.full((len(parts), *shape), np.nan)
    n_subjects = np.zeros(len(parts), dtype=np.int64)
    for number, part in enumerate(parts):
        table = part.table
        codes, trials = trial_codes(table)
        try:
            y = trial_labels(trials, scheme)[codes]
        except LabelError:
            y = np.full(len(table), -1, dtype=np.int64)
        subject = np.unique(table["subject"].to_numpy(), return_inverse=True)[1]
        usable = (
            ~table["artefact"].fillna(False).to_numpy(dtype=bool)
            if "artefact" in table
            else np.ones(len(table), dtype=bool)
        )
        n = int(subject.max()) + 1
        n_subjects[number] = n
        # One group per (subject, class), class n_classes meaning "no class"; one pass over blocks.
        group = subject * (n_classes + 1) + np.where(y >= 0, y, n_classes)
        flat = np.zeros((n * (n_classes + 1), *shape))
        counts = np.bincount(group[usable], minlength=len(flat)).astype(np.float64)
        total: NDArray[np.float64] = np.zeros(shape)
        square: NDArray[np.float64] = np.zeros(shape)
        for start in range(0, len(table), 8192):
            rows = np.flatnonzero(usable[start : start + 8192]) + start
            values = part.batch(rows).astype(np.float64)
            # Sums by group as a product with a 0/1 matrix: far faster than np.add.at on rows.
            member = (group[rows][None] == np.arange(len(flat))[:, None]).astype(np.float64)
            flat += (member @ values.reshape(len(rows), -1)).reshape(flat.shape)
            total += values.sum(axis=0)
            square += np.square(values).sum(axis=0)
        spread = np.sqrt(np.maximum(square / usable.sum() - (total / usable.sum()) ** 2, 0))
        sums = flat.reshape(n, n_classes + 1, *shape)
        counts = counts.reshape(n, n_classes + 1)
        overall[number] = (
            sums.sum(axis=1) / np.maximum(counts.sum(axis=1), 1)[:, None, None]
        ).mean(axis=0)
        for index in range(n_classes):
            has = counts[:, index] > 0
            if has.any():
                mean[number, index] = (sums[has, index] / counts[has, index][:, None, None]).mean(
                    axis=0
                )
        present = np.isfinite(mean[number]).reshape(n_classes, -1).all(axis=1)
        if present.any():
            middle = mean[number][present].mean(axis=0)
            contrast[number] = (mean[number] - middle) / np.where(spread > 0, spread, 1.0)
    first = parts[0]
    bands = first.bands or ()
    units = {"de": "nats", "power": "V^2"}
    return {
        "corpora": text_array(part.corpus for part in parts),
        "classes": text_array(scheme.classes),
        "channels": text_array(first.channels),
        "bands": text_array(
            [band.name for band in bands] or [str(i) for i in range(first.shape[2])]
        ),
        "band_edges": np.array([(band.low, band.high) for band in bands]).reshape(-1, 2),
        "mean": mean,
        "contrast": contrast,
        "overall": overall,
        "n_subjects": n_subjects,
        "unit": np.array(units.get(first.kind, "")),
    }


# ------------------------------------------------------------------------------ importance


def region_drops(
    method: Method, fold: Fold, y_true: NDArray[np.int64], rng: np.random.Generator
) -> tuple[list[str], float, NDArray[np.float64]]:
    """Permute one region's features after the other and score again.

    Parameters
    ----------
    method : Method
        Fitted on the fold.
    fold : Fold
        Its test windows are scored.
    y_true : ndarray of int64
        Their classes.
    rng : Generator
        Source of the permutations.

    Returns
    -------
    regions : list of str
        Regions that the electrodes cover.
    baseline : float
        Balanced accuracy without permutation.
    drop : ndarray of float64, shape (n_regions,)
        Baseline minus the mean balanced accuracy after permutation. Of signals, on at most 64
        windows, evenly spread.
    """
    from affectrum.electrodes import REGIONS

    test = fold.test
    if test.kind == "raw" and len(test) > _SIGNALS:
        rows = np.linspace(0, len(test) - 1, _SIGNALS).round().astype(np.int64)
        test, y_true = test.select(rows), y_true[rows]
    place = channel_regions(test.channels)
    regions = [name for name in REGIONS if name in place]
    baseline = _balanced(method, test, y_true, len(fold.classes))
    drop = np.zeros(len(regions))
    x = test.to_numpy()
    for number, name in enumerate(regions):
        columns = np.flatnonzero(np.array(place) == name)
        scores = []
        for _ in range(_REPEATS):
            changed = x.copy()
            changed[:, columns] = x[rng.permutation(len(x))][:, columns]
            scores.append(_balanced(method, test.with_x(changed), y_true, len(fold.classes)))
        drop[number] = baseline - float(np.mean(scores))
    return regions, baseline, drop


def channel_regions(channels: Sequence[str]) -> list[str]:
    """Region of each electrode; "" for names that are no electrode."""
    from affectrum.electrodes import region
    from affectrum.errors import ElectrodeError

    places = []
    for name in channels:
        try:
            places.append(region(name))
        except ElectrodeError:
            places.append("")
    return places


def _balanced(method: Method, windows: Windows, y: NDArray[np.int64], n_classes: int) -> float:
    from affectrum.evaluation import confusion_matrix, metrics_from_confusion

    guess = method.predict_proba(windows).argmax(axis=1)
    counts = confusion_matrix(y, guess, n_classes)
    return float(metrics_from_confusion(counts, ("balanced_accuracy",))["balanced_accuracy"])


class ImportanceCollector:
    """Gathers `region_drops` over the folds of a cell."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float, NDArray[np.float64]]] = []
        self.regions: list[str] = []
        self.channels: tuple[str, ...] = ()

    def add(
        self, method: Method, fold: Fold, y_true: NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        """Score one fold."""
        self.regions, baseline, drop = region_drops(method, fold, y_true, rng)
        self.channels = fold.test.channels
        self.rows.append((fold.id, fold.subject, baseline, drop))

    def arrays(self) -> dict[str, NDArray[Any]] | None:
        """What is stored; None if no electrode has a region."""
        if not self.rows or not self.regions:
            return None
        return {
            "regions": text_array(self.regions),
            "drop": np.stack([row[3] for row in self.rows]),
            "baseline": np.array([row[2] for row in self.rows]),
            "subjects": text_array(row[1] for row in self.rows),
            "folds": text_array(row[0] for row in self.rows),
            "channels": text_array(self.channels),
            "channel_region": text_array(channel_regions(self.channels)),
            "repeats": np.array(_REPEATS),
        }


# ------------------------------------------------------------------------------ embeddings


def embeddings(
    method: Method, fold: Fold, y_true: NDArray[np.int64], seed: int = 0
) -> dict[str, NDArray[Any]] | None:
    """Embed source and test windows before and after transfer; see the module's docstring.

    Returns
    -------
    dict or None
        None if the method has no ``embed``, or too few windows to draw.
    """
    embed = getattr(method, "embed", None)
    # Corpora of one shape are one source, others stay apart and share the points.
    joined = fold.access.source
    sources = list(fold.access.source_parts) if joined is None else [joined]
    if embed is None or not sources:
        return None
    rng = np.random.default_rng(seed)
    share = -(-_POINTS // len(sources))
    picked = [np.sort(rng.permutation(len(grant.windows))[:share]) for grant in sources]
    tested = np.sort(rng.permutation(len(fold.test))[:_POINTS])
    sides = [grant.windows.select(rows) for grant, rows in zip(sources, picked, strict=True)]
    sides.append(fold.test.select(tested))
    if sum(len(side) for side in sides) < 30:
        return None
    tables = [side.table for side in sides]
    labels = [
        np.full(len(rows), -1, dtype=np.int64) if grant.y is None else grant.y[rows]
        for grant, rows in zip(sources, picked, strict=True)
    ]
    labels.append(y_true[tested])
    stages = ["input"]
    if "stage" in inspect.signature(embed).parameters:
        stages += ["pretrained", "finetuned"]
        found = {stage: _embed(embed, sides, stage) for stage in stages[1:]}
    else:
        stages += ["finetuned"]
        found = {"finetuned": _embed(embed, sides, None)}
    if len({side.shape[1:] for side in sides}) == 1:
        found["input"] = np.concatenate([side.x.reshape(len(side), -1) for side in sides])
    names = np.concatenate(
        [
            text_array(
                "/".join(map(str, row))
                for row in table[["corpus", "subject", "session", "row"]].itertuples(index=False)
            )
            for table in tables
        ]
    )
    out: dict[str, NDArray[Any]] = {
        "domain": np.repeat([0] * len(sources) + [1], [len(side) for side in sides]),
        "y": np.concatenate(labels),
        "corpus": np.concatenate([text_array(table["corpus"]) for table in tables]),
        "subject": np.concatenate([table["subject"].to_numpy(dtype=np.int64) for table in tables]),
        "trial": np.unique(names, return_inverse=True)[1].astype(np.int64),
        "classes": text_array(fold.classes),
        "source_classes": text_array(fold.access.source_classes or fold.classes),
        "fold": np.array(fold.id),
    }
    kept = []
    for stage in stages:
        vectors = found.get(stage)
        if vectors is None:
            continue
        kept.append(stage)
        reduced = _principal(np.asarray(vectors, dtype=np.float64))
        out[f"embedding_{stage}"] = reduced.astype(np.float32)
        out[f"tsne_{stage}"] = _tsne(reduced, seed)
    out["stages"] = text_array(kept)
    return out


def _embed(embed: Any, sides: Sequence[Windows], stage: str | None) -> NDArray[Any] | None:
    from affectrum.errors import ConfigError

    options = {} if stage is None else {"stage": stage}
    try:
        return np.concatenate([np.asarray(embed(side, **options)) for side in sides])
    except ConfigError:
        # A method that was not pre-trained has nothing to show for that stage.
        return None


def _principal(x: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = x - x.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    n = min(_COMPONENTS, len(s))
    return np.asarray(u[:, :n] * s[:n])


def _tsne(x: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE

    spread = x.std()
    if spread <= 0:
        return np.zeros((len(x), 2), dtype=np.float32)
    perplexity = float(min(30, (len(x) - 1) / 3))
    model = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, max_iter=500)
    return np.asarray(model.fit_transform(x / spread), dtype=np.float32)
