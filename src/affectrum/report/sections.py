"""The sections of a run's page that come from scores; those from extras are in `pictures`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from affectrum.benchmark.table import describe_access
from affectrum.report import figures, map_sections, pictures, statistics
from affectrum.report.blocks import (
    Cell,
    Row,
    Section,
    cards,
    details,
    figure,
    heading,
    listing,
    table,
    tag,
    text,
)
from affectrum.report.card import build_cards
from affectrum.report.findings import find
from affectrum.report.panels import Panel, make_panels
from affectrum.report.results import METRIC, TaskResult, primary
from affectrum.report.style import method_colours
from affectrum.report.wording import best_sentence, best_verdict, points, task_sentence

if TYPE_CHECKING:
    from affectrum.benchmark import CellResult

__all__ = ["build", "build_overview", "footer", "subtitle"]

# More tasks than these are summed up.
_MANY = 6
_LEAK = (tag("leak", alarm=True),)


def subtitle(tasks: Sequence[TaskResult]) -> str:
    """Return the line under the title: what was compared on what."""
    methods = dict.fromkeys(m.label for task in tasks for m in task.methods)
    return (
        f"{len(methods)} methods on {len(tasks)} tasks. Each score stands with what the model was "
        "allowed to see, how its weights were chosen, an interval and the level of chance."
    )


def footer(cells: Sequence[CellResult]) -> str:
    """Return the line at the end: version, and where every figure comes from."""
    versions = cells[0].meta.get("versions", {})
    return (
        f"Made by Affectrum {versions.get('affectrum', '')} from the stored predictions of "
        f"{len(cells)} cells. Every figure and table is derived from them; nothing is typed in."
    )


def build(run: Path, tasks: Sequence[TaskResult], *, simulated: bool) -> list[Section]:
    """Build all sections of a run's page.

    Parameters
    ----------
    run : Path
        The run's folder, for its extras.
    tasks : sequence of TaskResult
        From `group_results`.
    simulated : bool
        Whether anything is simulated: every figure is marked then.

    Returns
    -------
    list of Section
        Sections without content have no blocks.
    """
    labels = list(dict.fromkeys(m.label for task in tasks for m in task.methods))
    colours = method_colours(labels)
    main = primary(tasks)
    panels = make_panels(main)
    return [
        _summary(tasks, panels),
        *map_sections.build_map(panels, colours),
        statistics.build_critical(panels, colours),
        map_sections.build_findings(panels),
        _scores(tasks),
        _subjects(main, colours, simulated),
        _confusions(main, simulated),
        _trial_curves(tasks, colours, simulated),
        _optimism(main, colours, simulated),
        _calibration(main, colours, simulated),
        *statistics.build_statistics(main, colours, simulated=simulated),
        build_cards(run, main, simulated=simulated),
        *pictures.build(run, main, simulated=simulated),
        _audit(tasks),
        _provenance(tasks),
    ]


def build_overview(tasks: Sequence[TaskResult]) -> list[Section]:
    """Build the page over many tasks: map, ranks, findings, scores, audit; no figure per task.

    Parameters
    ----------
    tasks : sequence of TaskResult
        From `group_results`.

    Returns
    -------
    list of Section
        Sections without content have no blocks.
    """
    labels = list(dict.fromkeys(m.label for task in tasks for m in task.methods))
    panels = make_panels(primary(tasks))
    return [
        _summary(tasks, panels),
        *map_sections.build_map(panels, method_colours(labels)),
        statistics.build_critical(panels, method_colours(labels)),
        map_sections.build_findings(panels),
        _scores(tasks),
        _audit(tasks),
        _provenance(tasks),
    ]


def _summary(tasks: Sequence[TaskResult], panels: Sequence[Panel]) -> Section:
    section = Section("summary", "What came out", "Summary")
    windows = sum(len(cell.predictions) for t in tasks for m in t.methods for cell in m.cells)
    checks = [c for t in tasks for m in t.methods for cell in m.cells for c in cell.certificates()]
    passed = sum(certificate.passed for certificate in checks)
    section.blocks.append(
        cards(
            [
                (str(len(tasks)), "task" if len(tasks) == 1 else "tasks"),
                (str(len({m.label for t in tasks for m in t.methods})), "methods"),
                (f"{windows:,}".replace(",", " "), "predictions stored"),
                (f"{passed} of {len(checks)}", "folds passed the leak audit"),
            ]
        )
    )
    for panel in panels:
        if len(panel.tasks) > _MANY:
            # One line per task would hide what they have in common.
            section.blocks += [heading(panel.title), listing(find(panel).statements)]
            continue
        section.blocks.append(
            listing(_verdict(panel, number) for number in range(len(panel.tasks)))
        )
    cautions = dict.fromkeys(
        str(note) for t in tasks for m in t.methods[:1] for note in _cautions(m.predictions[0])
    )
    if cautions:
        section.blocks.append(heading("Read with care"))
        section.blocks.append(listing(cautions))
    return section


def _verdict(panel: Panel, number: int) -> str:
    task = panel.tasks[number]
    pairs = panel.pairs[panel.pairs["task"] == number]
    return f"{best_sentence(task)} {panel.biased or best_verdict(task, pairs)}".strip()


def _cautions(predictions: Any) -> list[str]:
    from affectrum.evaluation import cautions

    return [str(note) for note in cautions(predictions)]


def _scores(tasks: Sequence[TaskResult]) -> Section:
    section = Section("scores", "Scores, with what was seen", "Scores")
    section.blocks.append(
        text(
            "Balanced accuracy in per cent, computed once over all test windows of a subject and "
            "then averaged over subjects (± SD over subjects). The interval treats subjects and "
            "clips as crossed random factors. Trial: the mean score of a trial's windows decides.",
            note=True,
        )
    )
    columns = ["method", "#mean ± SD", "#95 % interval", "#chance", "#trial", "#macro F1", "#ECE"]
    columns += ["learnt from", "weights"]
    for task in tasks:
        section.blocks.append(heading(task.title))
        section.blocks.append(text(task_sentence(task), note=True))
        section.blocks.append(table(columns, [_score_row(task, m) for m in task.methods]))
        notes = dict.fromkeys(str(note) for note in task.meta.get("notes", []))
        if notes:
            section.blocks.append(listing(notes))
    return section


def _score_row(task: TaskResult, method: Any) -> Row:
    scores = method.subjects[METRIC].to_numpy(dtype=float)
    spread = float(np.nanstd(scores, ddof=1)) if len(scores) > 1 else float("nan")
    interval, chance = method.interval, method.chance
    selection = str(method.meta["selection"])
    tags = []
    if "transductive" in str(method.meta["protocol"]):
        tags.append(tag("transductive", alarm=True))
    if selection == "oracle":
        tags.append(tag("oracle", alarm=True))
    if method.declared:
        tags.append(tag(f"declared leak: {', '.join(method.declared)}", alarm=True))
    if task.simulated:
        tags.append(tag("simulated"))
    seeds = len(method.cells)
    sub = f"{seeds} seeds, SD of the mean over seeds {points(method.seed_sd)}" if seeds > 1 else ""
    return Row(
        [
            Cell(method.label, sub, tags),
            Cell(f"{points(interval.value)} ± {points(spread)}"),
            Cell(f"{points(interval.low)}–{points(interval.high)}"),
            Cell(points(chance.value), f"{points(chance.low)}–{points(chance.high)}"),
            Cell(points(float(method.subject_trials[METRIC].mean()))),
            Cell(points(float(method.subjects["macro_f1"].mean()))),
            Cell(f"{method.calibration['ece']:.3f}"),
            Cell(describe_access(method.meta)),
            Cell(selection),
        ],
        best=method is task.best,
    )


def _chance(task: TaskResult) -> float:
    return 1.0 / len(task.classes)


def _subjects(
    tasks: Sequence[TaskResult], colours: dict[str, str], simulated: bool
) -> Section:  # fmt: skip
    section = Section("subjects", "Every subject", "Subjects")
    for task in tasks:
        svg = figures.subject_strip(
            {m.label: m.subjects[METRIC].to_numpy(dtype=float) for m in task.methods},
            {m.label: (m.interval.low, m.interval.high) for m in task.methods},
            colours,
            chance=_chance(task),
            simulated=simulated,
        )
        caption = f"{task.title}. One dot per subject; dashed: a guess among {len(task.classes)}."
        section.blocks.append(figure(svg, caption, f"Score of every subject, {task.title}"))
    return section


def _confusions(tasks: Sequence[TaskResult], simulated: bool) -> Section:
    section = Section("confusion", "What is taken for what", "Confusion")
    for task in tasks:
        svg = figures.confusion_matrices(
            {m.label: m.confusion for m in task.methods}, task.classes, simulated=simulated
        )
        caption = f"{task.title}. Rows: true class; columns: predicted class; per cent of the row."
        section.blocks.append(figure(svg, caption, f"Confusion matrices, {task.title}"))
    return section


def _trial_curves(
    tasks: Sequence[TaskResult], colours: dict[str, str], simulated: bool
) -> Section:  # fmt: skip
    section = Section("curves", "Learning curves", "Curves")
    families: dict[str, list[TaskResult]] = {}
    for task in tasks:
        if task.meta.get("calibration_trials"):
            families.setdefault(task.family, []).append(task)
    for members in families.values():
        if len({task.meta["calibration_trials"] for task in members}) < 2:
            continue
        members = sorted(members, key=lambda task: int(task.meta["calibration_trials"]))
        shared = [
            m.label
            for m in members[0].methods
            if all(m.label in [other.label for other in task.methods] for task in members)
        ]
        curves = {}
        for label in shared:
            found = [next(m for m in task.methods if m.label == label) for task in members]
            curves[label] = (
                [int(task.meta["calibration_trials"]) for task in members],
                np.array([m.interval.value for m in found]),
                np.array([m.interval.low for m in found]),
                np.array([m.interval.high for m in found]),
            )
        svg = figures.trial_curves(curves, colours, chance=_chance(members[0]), simulated=simulated)
        caption = (
            f"{members[-1].title} and its forms with fewer calibration trials. The tests differ "
            "too: trials that don't calibrate are tested. Bars: 95 % intervals."
        )
        section.blocks.append(figure(svg, caption, "Score over the number of calibration trials"))
    for task in primary(tasks):
        curves_by_epoch = {m.label: m.curve for m in task.methods if m.curve is not None}
        long = {k: v for k, v in curves_by_epoch.items() if v is not None and len(v) > 1}
        if long:
            svg = figures.epoch_curves(long, colours, chance=_chance(task), simulated=simulated)
            caption = (
                f"{task.title}. Test score after each fine-tuning epoch, recorded to be looked at "
                "and never used to choose. Band: one SD over subjects."
            )
            section.blocks.append(figure(svg, caption, f"Score over epochs, {task.title}"))
    return section


def _optimism(tasks: Sequence[TaskResult], colours: dict[str, str], simulated: bool) -> Section:
    section = Section("optimism", "What choosing the best test epoch would add", "Optimism gap")
    for task in tasks:
        gaps = {m.label: m.optimism for m in task.methods if m.optimism is not None}
        shown = {label: gap for label, gap in gaps.items() if gap is not None}
        if not shown:
            continue
        svg = figures.optimism_gap(shown, colours, simulated=simulated)
        caption = (
            f"{task.title}. Several published codes report the best epoch on the test set "
            "(“oracle”). Nobody has that epoch in practice; the gap is pure optimism."
        )
        section.blocks.append(figure(svg, caption, f"Optimism gap, {task.title}"))
    return section


def _calibration(
    tasks: Sequence[TaskResult], colours: dict[str, str], simulated: bool
) -> Section:  # fmt: skip
    from affectrum.evaluation import reliability_curve

    section = Section("calibration", "Can the confidence be believed?", "Calibration")
    for task in tasks:
        curves = {}
        for method in task.methods:
            predictions = method.predictions[0]
            bins = reliability_curve(predictions.y_true, predictions.scores, n_bins=10)
            curves[method.label] = (
                bins["confidence"].to_numpy(dtype=float),
                bins["accuracy"].to_numpy(dtype=float),
                (bins["n"] / bins["n"].sum()).to_numpy(dtype=float),
            )
        svg = figures.reliability(curves, colours, simulated=simulated)
        caption = (
            f"{task.title}. On the dashed line a confidence of 0.8 is right in 80 % of windows; "
            "below it the model is too sure. Dot size: share of windows."
        )
        section.blocks.append(figure(svg, caption, f"Reliability diagram, {task.title}"))
    return section


def _audit(tasks: Sequence[TaskResult]) -> Section:
    section = Section("audit", "Leak audit", "Audit")
    section.blocks.append(
        text(
            "Before a model trains, the audit compares what it gets with what it is tested on. "
            "Required checks must pass; the others are measured so that you know.",
            note=True,
        )
    )
    rows = []
    for task in tasks:
        by_name: dict[str, list[Any]] = {}
        for method in task.methods:
            for cell in method.cells:
                for certificate in cell.certificates():
                    for check in certificate.checks:
                        by_name.setdefault(check.name, []).append(check)
        for number, (name, checks) in enumerate(by_name.items()):
            failed = sum(not check.passed for check in checks)
            required = any(check.required for check in checks)
            worst = max(checks, key=lambda check: float(check.measured or 0))
            verdict = "passed" if not failed else f"{failed} of {len(checks)} failed"
            rows.append(
                Row(
                    [
                        Cell(task.title if number == 0 else ""),
                        Cell(name),
                        Cell("required" if required else "measured"),
                        Cell(verdict, tags=_LEAK if failed and required else ()),
                        Cell(str(worst.detail)),
                    ]
                )
            )
    section.blocks.append(table(["task", "check", "", "result", "worst fold"], rows))
    return section


def _provenance(tasks: Sequence[TaskResult]) -> Section:
    section = Section("provenance", "Where this comes from", "Provenance")
    rows = []
    for task in tasks:
        for method in task.methods:
            for cell in method.cells:
                timing = cell.meta.get("timing", {})
                seconds = timing.get("total_s") or timing.get("wall_s")
                rows.append(
                    Row(
                        [
                            Cell(task.title),
                            Cell(method.label),
                            Cell(str(cell.meta["seed"])),
                            Cell(f"{seconds:.1f}" if seconds else "–"),
                            Cell(cell.digest[:12]),
                        ]
                    )
                )
    section.blocks.append(table(["task", "method", "#seed", "#seconds", "cell"], rows))
    meta = tasks[0].meta
    shared = {
        key: meta.get(key)
        for key in ("versions", "recipe", "channels", "bands", "fingerprints", "corpora")
        if key in meta
    }
    section.blocks.append(
        details("Versions, recipe, electrodes", json.dumps(shared, indent=1, default=str))
    )
    configs = {
        f"{task.title} · {m.label}": m.meta["method"] for task in tasks for m in task.methods
    }
    section.blocks.append(
        details("Every method's configuration", json.dumps(configs, indent=1, default=str))
    )
    return section
