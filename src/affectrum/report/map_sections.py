"""Sections over many tasks: the map of transfers, ranks, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from affectrum.report import figures_map
from affectrum.report.blocks import Cell, Row, Section, cards, figure, heading, listing, table, text
from affectrum.report.findings import Findings, difference_sentence, find
from affectrum.report.panels import Panel
from affectrum.report.wording import points, task_sentence

__all__ = ["build_findings", "build_map"]

# Sentences per panel; the tables hold all of them.
_SENTENCES = 12


def build_map(panels: Sequence[Panel], colours: Mapping[str, str]) -> list[Section]:
    """Build the map of transfers and the ranks.

    Parameters
    ----------
    panels : sequence of Panel
        From `make_panels`.
    colours : mapping of str to str
        Colour of each method.

    Returns
    -------
    list of Section
        The map has no blocks where no panel has two tasks; ranks alike.
    """
    matrix = Section("map", "Who transfers to whom", "Map")
    ranks = Section("ranks", "Which method comes first, over tasks", "Ranks")
    for panel in panels:
        if len(panel.tasks) < 2:
            continue
        matrix.blocks += [heading(panel.title), text(_rules(panel), note=True)]
        svg = figures_map.transfer_matrix(
            {label: panel.grid(label) for label in panel.methods},
            panel.rows,
            panel.columns,
            simulated=panel.simulated,
        )
        matrix.blocks.append(
            figure(
                svg,
                "Rows: trained on; columns: tested on. Balanced accuracy in per cent with its 95 % "
                "interval; colour: from a guess (white) to all right. Italic: inside the chance "
                "interval.",
                f"Transfer matrix, {panel.title}",
            )
        )
        if panel.ranks is None or panel.biased:
            continue
        ranks.blocks.append(heading(panel.title))
        svg = figures_map.rank_plot(panel.ranks, colours, simulated=panel.simulated)
        ranked, names = panel.ranked
        left_out = [name for name in panel.methods if name not in names]
        left_out += [panel.short(task) for task in panel.tasks if task not in ranked]
        missing = f" Left out, as something is missing: {'; '.join(left_out)}." if left_out else ""
        ranks.blocks.append(
            figure(
                svg,
                f"{len(ranked)} tasks. Subjects and clips are drawn anew 1000 times; a person "
                "or clip of several tasks is drawn equally often in all of them. The tasks are "
                "fixed: nothing is said about other corpora." + missing,
                f"Ranks of methods, {panel.title}",
            )
        )
    if matrix.blocks:
        matrix.blocks.insert(
            0,
            text(
                "Each panel holds one protocol, one selection rule, one scaling and one set of "
                "features. Scores of different panels answer different questions and are never put "
                "side by side.",
                note=True,
            ),
        )
    return [matrix, ranks]


def _rules(panel: Panel) -> str:
    words = task_sentence(panel.tasks[0], sizes=False)
    return words + (f" {panel.biased}" if panel.biased else "")


def build_findings(panels: Sequence[Panel]) -> Section:
    """Build the page's findings: which differences are supported, which not, with evidence.

    Parameters
    ----------
    panels : sequence of Panel
        From `make_panels`.

    Returns
    -------
    Section
    """
    section = Section("findings", "Findings, with their evidence", "Findings")
    found = [find(panel) for panel in panels]
    n_pairs = sum(len(f.supported) + len(f.unsupported) for f in found)
    n_supported = sum(len(f.supported) for f in found)
    section.blocks.append(
        cards(
            [
                (str(n_pairs), "differences tested"),
                (str(n_supported), "supported"),
                (str(n_pairs - n_supported), "not supported"),
            ]
        )
    )
    section.blocks.append(
        text(
            "A difference is supported if it holds for other people and other clips. Two tests "
            "must agree: a permutation test over subjects, corrected for the methods of its task, "
            "and a t test that takes subjects and clips as drawn at random, corrected (Holm) for "
            "all differences of one protocol. The larger p is shown, and must be below 0.05.",
            note=True,
        )
    )
    for panel, findings in zip(panels, found, strict=True):
        section.blocks.append(heading(panel.title))
        section.blocks.append(listing(findings.statements))
        section.blocks += _supported(panel, findings)
        section.blocks += _unsupported(panel, findings)
        if findings.cautions:
            section.blocks.append(text("Read with care: " + " ".join(findings.cautions), note=True))
    return section


def _supported(panel: Panel, findings: Findings) -> list[dict[str, object]]:
    rows = findings.supported
    if not len(rows):
        return []
    shown = [difference_sentence(panel, row) for _, row in rows.head(_SENTENCES).iterrows()]
    blocks = [text("Supported:"), listing(shown)]
    if len(rows) > _SENTENCES:
        blocks.append(_evidence(panel, rows.iloc[_SENTENCES:], "Further supported differences"))
    return blocks


def _unsupported(panel: Panel, findings: Findings) -> list[dict[str, object]]:
    rows = findings.unsupported
    if not len(rows):
        return []
    return [_evidence(panel, rows, "Not supported: neither a difference nor equality is shown")]


def _evidence(panel: Panel, rows: pd.DataFrame, caption: str) -> dict[str, object]:
    columns = ["task", "higher", "lower", "#points", "#95 % interval", "#p corrected", "#d"]
    columns += ["#finds from"]
    out = []
    for _, row in rows.iterrows():
        p = float(row["p_holm"])
        out.append(
            Row(
                [
                    Cell(panel.short(panel.tasks[int(row["task"])])),
                    Cell(str(row["first"])),
                    Cell(str(row["second"])),
                    Cell(points(float(row["difference"]))),
                    Cell(f"{points(float(row['low']))} to {points(float(row['high']))}"),
                    Cell(f"{p:.3f}" if p == p else "–"),
                    Cell(_number(float(row["effect_size"]))),
                    Cell(points(float(row["detectable"]))),
                ]
            )
        )
    return table(columns, out, caption)


def _number(value: float) -> str:
    return f"{value:.2f}" if value == value else "–"
