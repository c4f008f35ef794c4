"""The sections of a run's page that come from its extras: maps, embeddings, soft weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectrum.report import maps
from affectrum.report.blocks import Section, figure, listing, text
from affectrum.report.results import TaskResult

__all__ = ["build"]


def build(run: Path, tasks: Sequence[TaskResult], *, simulated: bool) -> list[Section]:
    """Build the sections from what the run stored beside its predictions.

    Parameters
    ----------
    run : Path
        The run's folder.
    tasks : sequence of TaskResult
        Extras of other tasks are left out.
    simulated : bool
        Whether to mark every figure.

    Returns
    -------
    list of Section
        Without blocks where the run stored nothing.
    """
    from affectrum.benchmark import list_extras, load_extras

    titles = [(cell.digest, task.title) for task in tasks for m in task.methods for cell in m.cells]
    place = {digest: number for number, (digest, _) in enumerate(titles)}
    names = dict(titles)
    # In the order of the plan and under the titles of the page, not in that of the files' names.
    listed = [e for e in list_extras(run) if e.get("cell") is None or e["cell"] in place]
    listed.sort(key=lambda entry: place.get(str(entry.get("cell")), -1))
    entries = [
        ({**entry, "task": names.get(str(entry.get("cell")), "")}, load_extras(run, entry))
        for entry in listed
    ]

    def of(kind: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return [(entry, data) for entry, data in entries if entry["kind"] == kind]

    return [
        _topomaps(of("features"), simulated),
        _importance(of("importance"), simulated),
        _embeddings(of("embeddings"), simulated),
        _soft_weights(of("soft-weights"), simulated),
    ]


def _strings(array: Any) -> list[str]:
    return [str(item) for item in np.asarray(array).tolist()]


def _topomaps(found: list[tuple[dict[str, Any], dict[str, Any]]], simulated: bool) -> Section:
    from affectrum.electrodes import topo_xy

    section = Section("maps", "Where the features differ", "Maps")
    for entry, data in found:
        classes, corpora = _strings(data["classes"]), _strings(data["corpora"])
        contrast = np.asarray(data["contrast"], dtype=float)
        rows = {
            f"{corpus}\n{name}": contrast[i, j]
            for i, corpus in enumerate(corpora)
            for j, name in enumerate(classes)
            if np.isfinite(contrast[i, j]).all()
        }
        if not rows:
            continue
        svg = maps.band_topomaps(
            rows,
            _strings(data["bands"]),
            topo_xy(_strings(data["channels"])),
            simulated=simulated,
            label="class mean minus mean over classes (SD)",
        )
        caption = (
            f"{entry['title']}. Differential entropy of each class against the mean over classes, "
            "in units of the SD over all windows of the corpus; mean over subjects, nose up."
        )
        section.blocks.append(figure(svg, caption, "Scalp maps by class and band"))
    return section


def _importance(found: list[tuple[dict[str, Any], dict[str, Any]]], simulated: bool) -> Section:
    from affectrum.electrodes import topo_xy

    section = Section("regions", "Which regions the models rely on", "Regions")
    if found:
        section.blocks.append(
            text(
                "A region's features are permuted across the test windows; the drop in balanced "
                "accuracy says how much the trained model relies on it. Measured after training, "
                "used for nothing else. A region can matter and still not drop, where its "
                "neighbours carry the same.",
                note=True,
            )
        )
    by_task: dict[str, dict[str, tuple[np.ndarray, list[str]]]] = {}
    for entry, data in found:
        drop = np.asarray(data["drop"], dtype=float).mean(axis=0)
        if not drop.any():
            continue  # a model that does not look at the features (chance, position) has no map
        regions = _strings(data["regions"])
        place = dict(zip(regions, 100 * drop, strict=True))
        channels = _strings(data["channels"])
        values = [place.get(r, np.nan) for r in _strings(data["channel_region"])]
        keep = [i for i, value in enumerate(values) if np.isfinite(value)]
        by_task.setdefault(str(entry["task"]), {})[str(entry["method"])] = (
            np.array([values[i] for i in keep]),
            [channels[i] for i in keep],
        )
    for task, methods in by_task.items():
        shown = dict(list(methods.items())[:4])
        channels = next(iter(shown.values()))[1]
        svg = maps.importance_map(
            {name: values for name, (values, _) in shown.items()},
            topo_xy(channels),
            simulated=simulated,
            label="drop (points)",
        )
        caption = f"{task}. Mean over the test subjects."
        section.blocks.append(figure(svg, caption, f"Permutation importance by region, {task}"))
    return section


def _embeddings(found: list[tuple[dict[str, Any], dict[str, Any]]], simulated: bool) -> Section:
    section = Section("embedding", "Before and after transfer", "Embedding")
    titles = {
        "input": "input features",
        "pretrained": "after pre-training",
        "finetuned": "after fine-tuning",
    }
    for entry, data in found:
        domain = np.asarray(data["domain"])
        group = np.where(domain == 0, "source", "target, test")
        classes = _strings(data["classes"])
        same = _strings(data["source_classes"]) == classes
        y = np.asarray(data["y"]).copy()
        if not same:
            # The source's classes mean something else: its points are drawn without a class.
            y[domain == 0] = -1
        panels = {
            titles.get(stage, stage): (np.asarray(data[f"tsne_{stage}"]), y, group)
            for stage in _strings(data["stages"])
            if f"tsne_{stage}" in data
        }
        if not panels:
            continue
        svg = maps.embedding_pair(panels, classes, simulated=simulated)
        caption = (
            f"{entry['task']}, {entry['method']}, fold {data['fold']!s}. t-SNE of single "
            "windows; distances between far groups and their sizes mean nothing in such a picture."
        )
        section.blocks.append(figure(svg, caption, "t-SNE before and after transfer"))
    return section


_RELATION_ORDER = ("same trial", "same subject, other trial", "other subject")


def _soft_weights(found: list[tuple[dict[str, Any], dict[str, Any]]], simulated: bool) -> Section:
    section = Section("weights", "What the soft weights follow", "Soft weights")
    if not found:
        return section
    section.blocks.append(
        text(
            "SCMM weighs pairs of windows by how alike their inputs are, so that neighbours in "
            "time and, it claims, the same emotion in others pull together. This shows what the "
            "weights really follow in these data.",
            note=True,
        )
    )
    for entry, data in found:
        times = [r for r in data["by_time"] if r["mean_weight"] is not None and r["to_s"]]
        seconds = np.array([(r["from_s"] + r["to_s"]) / 2 for r in times])
        weights = np.array([r["mean_weight"] for r in times])
        bars = {
            f"{relation}\n{row['classes']}": float(row["mean_weight"])
            for relation in _RELATION_ORDER
            for row in data["by_relation"]
            if row["relation"] == relation and row["mean_weight"] is not None
        }
        svg = maps.weight_curves(
            {str(entry["method"]): (seconds, weights)}, bars, simulated=simulated
        )
        caption = f"{entry['task']}, {entry['method']}: mean soft weight of unmasked windows."
        section.blocks.append(figure(svg, caption, "Soft weights by time distance and relation"))
        section.blocks.append(
            listing(
                [
                    f"Sampler “{data['sampler']}”: {100 * data['share_of_neighbours']:.1f} % of a "
                    "batch's pairs are of one trial and start within 5 s."
                ]
            )
        )
    return section
