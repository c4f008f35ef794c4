"""Sections of statistics: how far a score may be trusted, and for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from affectrum import evaluation
from affectrum.report import figures_statistics
from affectrum.report.blocks import Cell, Row, Section, figure, heading, listing, table, text
from affectrum.report.results import METRIC, MethodResult, TaskResult
from affectrum.report.wording import points

if TYPE_CHECKING:
    from affectrum.report.panels import Panel

__all__ = ["build_critical", "build_statistics"]

# Pairs in one figure; the table of findings holds all of them.
_PAIRS = 15
# Promises of prediction sets, the largest one that the number of people allows.
_PROMISES = (0.9, 0.8)


def build_critical(panels: Sequence[Panel], colours: Mapping[str, str]) -> Section:
    """Build the critical-difference diagrams over the tasks of each panel.

    Parameters
    ----------
    panels : sequence of Panel
        Tasks that may be compared.
    colours : mapping of str to str
        Colour of each method.

    Returns
    -------
    Section
        Without blocks where no panel has two tasks that share two methods.
    """
    section = Section(
        "critical", "Ranks over tasks, by Friedman and Nemenyi", "Critical differences"
    )
    for panel in panels:
        scores = pd.DataFrame(
            {
                f"{number}: {task.title}": {m.label: m.interval.value for m in task.methods}
                for number, task in enumerate(panel.tasks)
            }
        ).T
        scores = scores.dropna(axis=1)
        if panel.biased or len(scores) < 2 or scores.shape[1] < 2:
            continue
        corpora = {
            name: [*task.meta["source"], task.meta["target"]]
            for name, task in zip(scores.index, panel.tasks, strict=True)
        }
        found = evaluation.critical_difference(scores, corpora=corpora)
        svg = figures_statistics.critical_difference(found, colours, simulated=panel.simulated)
        section.blocks.append(heading(panel.title))
        section.blocks.append(text(_friedman(found)))
        caption = (
            f"Mean rank over {len(found.tasks)} tasks, 1 is best. A bar joins methods that are not "
            "told apart."
        )
        section.blocks.append(figure(svg, caption, f"Critical differences, {panel.title}"))
        section.blocks.append(listing(f"{note[0].upper()}{note[1:]}." for note in found.cautions))
    return section


def _friedman(found: evaluation.CriticalDifference) -> str:
    test = found.friedman
    verdict = (
        "the methods differ in rank"
        if test.p_value < found.alpha
        else "no difference in rank is shown, so one bar joins all"
    )
    return (
        f"Friedman's test over {test.n_tasks} tasks and {test.n_methods} methods: p = "
        f"{_p(test.p_value)} (by permutation within tasks): {verdict}."
    )


def build_statistics(
    tasks: Sequence[TaskResult], colours: Mapping[str, str], *, simulated: bool
) -> list[Section]:
    """Build the sections about each task.

    Parameters
    ----------
    tasks : sequence of TaskResult
        The tasks whose figures are shown.
    colours : mapping of str to str
        Colour of each method.
    simulated : bool
        Marks every figure.

    Returns
    -------
    list of Section
        Metrics and chance, differences, variance, prediction sets with temperatures.
    """
    return [
        _metrics(tasks),
        _differences(tasks, simulated),
        _variance(tasks, simulated),
        _sets(tasks, colours, simulated),
    ]


def _biased(task: TaskResult) -> str:
    """Why a task's scores are no ground for a finding; empty if they are."""
    if task.meta["selection"] == "oracle":
        return "oracle: the epoch was chosen on the test"
    folds = [f for m in task.methods for cell in m.cells for f in cell.meta["folds"]]
    declared = dict.fromkeys(name for f in folds for name in f["certificate"]["declared"])
    return f"declared leaks: {', '.join(declared)}" if declared else ""


def _p(value: float) -> str:
    if value != value:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _metrics(tasks: Sequence[TaskResult]) -> Section:
    section = Section("metrics", "Every metric, and two ways to be at chance", "Metrics")
    section.blocks.append(
        text(
            "Means over subjects in per cent (kappa and AUROC times 100). Chance by trial permutes "
            "each subject's labels; chance by clip exchanges whole clips, alike for all subjects. "
            "Where all subjects saw the same clips, a score has to leave the second one.",
            note=True,
        )
    )
    columns = ["method", "level", *(f"#{name}" for name in _NAMES)]
    chance_columns = ["method", "#mean", "#chance by trial", "#p", "#chance by clip", "#p by clip"]
    for task in tasks:
        rows, chances = [], []
        for method in task.methods:
            for level, scores in (
                ("windows", method.subjects),
                ("trials", method.subject_trials),
            ):
                values = [float(scores[name].mean()) for name in evaluation.METRICS]
                label = method.label if level == "windows" else ""
                rows.append(Row([Cell(label), Cell(level), *(Cell(points(v)) for v in values)]))
            chances.append(_chance_row(method))
        words = f"{task.title} ({_biased(task)})" if _biased(task) else task.title
        section.blocks += [heading(words), table(columns, rows)]
        section.blocks.append(table(chance_columns, chances))
        section.blocks += _plane(task)
    return section


def _plane(task: TaskResult) -> list[dict[str, object]]:
    """Coordinates of the plane, for methods that predict them."""
    from affectrum.benchmark.heldout import plane_scores

    rows = []
    for method in task.methods:
        for name, scores in plane_scores(method.cells[0]).items():
            means = [float(scores[key].mean()) for key in ("ccc", "pearson", "rmse", "bias")]
            shown = [f"{value:.3f}" if value == value else "–" for value in means]
            rows.append(Row([Cell(words) for words in (method.label, name, *shown)]))
    if not rows:
        return []
    columns = ["method", "coordinate", "#concordance", "#correlation", "#RMSE", "#bias"]
    caption = "Valence and arousal on −1..1, once per trial, mean over subjects (first seed)."
    return [table(columns, rows, caption)]


_NAMES = ("accuracy", "balanced", "macro F1", "weighted F1", "kappa", "AUROC")


def _chance_row(method: MethodResult) -> Row:
    by_trial = method.chance
    by_clip = evaluation.chance_level(method.predictions[0], METRIC, by="clip")
    return Row(
        [
            Cell(method.label),
            Cell(points(method.interval.value)),
            Cell(f"{points(by_trial.low)}–{points(by_trial.high)}"),
            Cell(_p(by_trial.p_value)),
            Cell(f"{points(by_clip.low)}–{points(by_clip.high)}"),
            Cell(_p(by_clip.p_value)),
        ]
    )


def _differences(tasks: Sequence[TaskResult], simulated: bool) -> Section:
    section = Section("differences", "Differences between methods", "Differences")
    for task in tasks:
        if len(task.methods) < 2 or _biased(task):
            continue
        pairs = task.pairs
        order = pairs["difference"].abs().sort_values(ascending=False, kind="stable").index
        shown = pairs.loc[order[:_PAIRS]]
        svg = figures_statistics.difference_forest(shown, simulated=simulated)
        caption = (
            f"{task.title}. Bars: 95 % intervals for other people and other clips, of one pair at "
            "a time. Filled: supported after Holm's correction over the pairs of this task. Grey: "
            "true differences that this design would miss more than one time in five."
        )
        if len(pairs) > _PAIRS:
            caption += f" The {_PAIRS} largest of {len(pairs)} pairs."
        if pairs["p_crossed"].isna().all():
            caption += " A class has one clip only: nothing can be supported."
        section.blocks.append(figure(svg, caption, f"Differences, {task.title}"))
    return section


def _variance(tasks: Sequence[TaskResult], simulated: bool) -> Section:
    section = Section("variance", "Where the scores vary", "Variance")
    columns = ["method", "#seeds", "#SD over subjects", "#SD of the mean over seeds"]
    columns += ["#error: people", "#error: clips", "#error: both"]
    for task in tasks:
        found, rows = {}, []
        for method in task.methods:
            components = evaluation.score_components(method.predictions)
            if len(components) and float(components["variance"].sum()) > 0:
                found[method.label] = components
            counts = evaluation.shared_counts({"method": method.predictions}).counts["method"]
            error = evaluation.crossed_error(counts, metric=METRIC)
            scores = method.subjects[METRIC].to_numpy(dtype=float)
            spread = float(np.nanstd(scores, ddof=1)) if len(scores) > 1 else float("nan")
            cells = [method.label, str(len(method.cells)), points(spread), points(method.seed_sd)]
            cells += [points(error.subject_error), points(error.clip_error), points(error.error)]
            rows.append(Row([Cell(words) for words in cells]))
        if not rows:
            continue
        section.blocks.append(heading(task.title))
        section.blocks.append(table(columns, rows))
        if found:
            caption = (
                f"{task.title}. Per cent of the variance of the share of right windows. What other "
                "people or other clips change, another seed does not show. The part of clips holds "
                "that of their classes, some of which are easier."
            )
            svg = figures_statistics.variance_bars(found, simulated=simulated)
            section.blocks.append(figure(svg, caption, f"Parts of the variance, {task.title}"))
    if section.blocks:
        section.blocks.insert(
            0,
            text(
                "Standard errors of the mean balanced accuracy, in points: if other people, if "
                "other clips, if both were drawn. Seeds say how much a new training run changes, "
                "which is apart from both; with one seed it is not known.",
                note=True,
            ),
        )
    return section


def _sets(
    tasks: Sequence[TaskResult], colours: Mapping[str, str], simulated: bool
) -> Section:  # fmt: skip
    section = Section("sets", "Prediction sets and honest probabilities", "Sets")
    for task in tasks:
        if _biased(task):
            continue
        n_others = task.methods[0].interval.n_subjects - 1
        promise = next((p for p in _PROMISES if n_others >= p / (1 - p) - 1e-9), None)
        if promise is not None:
            sets = {
                m.label: evaluation.conformal_across_subjects(m.predictions[0], coverage=promise)
                for m in task.methods
            }
            svg = figures_statistics.set_coverage(
                {label: found.subjects for label, found in sets.items()},
                promise,
                len(task.classes),
                colours,
                simulated=simulated,
            )
            caption = (
                f"{task.title}. One dot per subject, diamond: mean. Each subject's sets are "
                "calibrated on the labels of the other test subjects, which the protocol did not "
                "grant: this shows how large honest sets would be and for whom they fail, and "
                "enters no score. The promise is about a new person on average."
            )
            section.blocks.append(figure(svg, caption, f"Prediction sets, {task.title}"))
        section.blocks += _held_out(task)
    return section


def _held_out(task: TaskResult) -> list[dict[str, object]]:
    """What held-out trials of the training side do for the probabilities, where there are any."""
    from affectrum.benchmark.heldout import held_out_of

    columns = ["method", "#temperature", "#ECE before", "#after", "#NLL before", "#after "]
    columns += ["#sets hold", "#promised", "calibrated on"]
    rows = []
    for method in task.methods:
        cell, predictions = method.cells[0], method.predictions[0]
        held = held_out_of(cell)
        if held is None:
            continue
        folds = predictions.table["fold"].to_numpy(dtype=np.int64)
        if not set(folds.tolist()) <= set(held.fold.tolist()):
            continue
        scaled = evaluation.temper(predictions, held)
        sets = evaluation.conformal_held_out(predictions, held, coverage=_PROMISES[0])
        middle = float(np.median(scaled.temperatures["temperature"]))
        rows.append(
            Row(
                [
                    Cell(method.label),
                    Cell(f"{middle:.2f}"),
                    Cell(f"{scaled.before['ece']:.3f}"),
                    Cell(f"{scaled.after['ece']:.3f}"),
                    Cell(f"{scaled.before['nll']:.3f}"),
                    Cell(f"{scaled.after['nll']:.3f}"),
                    Cell(points(float(sets.subjects["coverage"].mean()))),
                    Cell(points(sets.coverage)),
                    Cell(sets.calibrated_on),
                ]
            )
        )
    if not rows:
        return []
    words = (
        "Fitted on trials that the protocol held out of training, with no label of the test: a "
        "temperature for the probabilities (median over folds), and prediction sets. A promise "
        "made on training corpora need not hold for people of another one."
    )
    return [heading(f"From held-out trials: {task.title}"), text(words, note=True),
            table(columns, rows)]  # fmt: skip
