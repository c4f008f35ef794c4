"""The page of a reproduction: what was published, what came out, and the way between protocols."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from affectrum.benchmark.files import write_file
from affectrum.report.blocks import Cell, Row, Section, figure, heading, listing, table, tag, text
from affectrum.report.page import render_page
from affectrum.report.wording import points
from affectrum.reproduce import figures
from affectrum.reproduce.page_studies import ablations, gap, sweeps
from affectrum.reproduce.published import MARKS
from affectrum.reproduce.results import Reproduction

__all__ = ["sections", "write_page"]


def write_page(found: Reproduction, out: str | os.PathLike[str]) -> Path:
    """Write a self-contained page.

    Parameters
    ----------
    found : Reproduction
        The results.
    out : path
        The HTML file; replaced whole.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StoreError
        If it can't be written.
    """
    experiment = str(found.head["experiment"])
    html = render_page(
        title=str(found.head["title"])
        if experiment
        else "From a published protocol to a strict one",
        subtitle=(
            "A published experiment under its own protocol and under the strict one. Published "
            "numbers stand beside ours only where everything is known to be the same."
            if experiment
            else "What each difference between two protocols is worth, one factor at a time."
        ),
        parts=sections(found),
        simulated=found.simulated,
        footer=(
            f"Made from the stored predictions of {len({c.digest for r in found.rows if r.result for c in r.result.cells})} "  # noqa: E501
            "cells. Every figure and table is derived from them."
        ),
    )
    target = Path(out)
    write_file(target, html.encode("utf-8"))
    return target


def sections(found: Reproduction) -> list[Section]:
    """Build the page's sections.

    Parameters
    ----------
    found : Reproduction
        The results.

    Returns
    -------
    list of Section
        Those without content have no blocks.
    """
    return [
        _about(found),
        _transfers(found),
        _waterfalls(found),
        ablations(found),
        sweeps(found),
        _published(found),
        _not_run(found),
    ]


def _about(found: Reproduction) -> Section:
    section = Section("about", "What this is", "About")
    head = found.head
    if head["reference"]:
        section.blocks.append(text(str(head["reference"])))
    notes = []
    if head["quick"]:
        values = ", ".join(f"{name} {value}" for name, value in head["quick"].items())
        notes.append(
            f"Parameters of all presets were replaced: {values}. With fewer steps than published "
            "this shows that everything runs; it is no reproduction of numbers."
        )
    n = len(head["seeds"])
    notes.append(f"{n} seed{'s' if n > 1 else ''}: {', '.join(map(str, head['seeds']))}.")
    if head["unknown"]:
        notes.append(f"Not available to this project: {'; '.join(head['unknown'])}.")
    for name, lacking in head["missing"].items():
        notes.append(f"{name} was left out: no folder of {', '.join(lacking)} was given.")
    section.blocks.append(listing(notes))
    unknown: dict[str, list[str]] = {}
    for entry in head["transfers"].values():
        for words in entry["unknown"]:
            unknown.setdefault(words, []).append(entry["title"])
    if unknown:
        section.blocks.append(
            heading("What is not known of the published protocol, or is done otherwise here")
        )
        everywhere = len(head["transfers"])
        section.blocks.append(
            listing(
                words
                + ("" if len(who) == everywhere else f" ({'; '.join(who)})".replace("->", "→"))
                for words, who in unknown.items()
            )
        )
    return section


def _transfers(found: Reproduction) -> Section:
    section = Section("transfers", "The transfers, under both protocols", "Transfers")
    scores = found.transfers
    if not len(scores):
        return section
    if found.pooled:
        section.blocks += _pooled(found, scores)
        return section
    metric = str(found.head["metric"]).replace("_", " ")
    section.blocks.append(
        text(
            f"“Last” and “best test epoch”: {metric} in per cent, mean ± SD over subjects. Nobody "
            "has the best test epoch in practice; the published protocol reports it. Balanced "
            "accuracy with its 95 % interval and chance follows the protocol's own selection. The "
            "two protocols are two tables, because their numbers must not be compared down a "
            "column.",
            note=True,
        )
    )
    for side in ("published", "strict"):
        rows = scores[(scores["side"] == side) & scores["score"].notna()]
        if not len(rows):
            continue
        section.blocks.append(heading(f"{side.capitalize()} protocol"))
        section.blocks.append(_transfer_figure(found, rows, metric))
        for name, mine in rows.groupby("transfer", sort=False):
            title = found.head["transfers"][name]["title"].replace("->", "→")
            first = mine.iloc[0]
            columns = [
                "method",
                "#last",
                "#best test epoch",
                "#balanced accuracy",
                "#95 % interval",
            ]
            columns += ["#chance", "#published"]
            caption = (
                f"{title}. {first['protocol']}; {int(first['n_subjects'])} subjects; weights: "
                f"{first['selection']}."
            )
            body = [_transfer_row(row, found.simulated) for _, row in mine.iterrows()]
            section.blocks.append(table(columns, body, caption))
    return section


def _pooled(found: Reproduction, scores: pd.DataFrame) -> list[dict[str, object]]:
    """Tables of a paper that scores all test windows at once, with its spread over seeds."""
    blocks = [
        text(
            "First the paper's way: each metric once over all test windows, per cent, mean ± SD "
            "over seeds; below it the published number where nothing differs. Then this "
            "project's: balanced accuracy, mean over subjects, with its 95 % interval (subjects "
            "and clips as random) and chance. The two protocols are two tables, because their "
            "numbers must not be compared down a column.",
            note=True,
        )
    ]
    names = [name.replace("_", " ") for name in found.pooled]
    columns = ["method", *(f"#{name}" for name in names)]
    columns += ["#over subjects", "#chance"]
    for side in ("published", "strict"):
        rows = scores[(scores["side"] == side) & scores["score"].notna()]
        if not len(rows):
            continue
        blocks.append(heading(f"{side.capitalize()} protocol"))
        for name, mine in rows.groupby("transfer", sort=False):
            first = mine.iloc[0]
            title = found.head["transfers"][name]["title"].replace("->", "→")
            caption = (
                f"{title}. {first['protocol']}; {int(first['n_subjects'])} test subjects; "
                f"weights: {first['selection']}."
            )
            body = [_pooled_row(row, found) for _, row in mine.iterrows()]
            blocks.append(table(columns, body, caption))
    return blocks


def _pooled_row(row: pd.Series, found: Reproduction) -> Row:
    cells = []
    for name in found.pooled:
        spread = row[f"pooled_{name}_sd"]
        ours = points(row[f"pooled_{name}"])
        ours += f" ± {points(spread)}" if spread == spread else ""
        theirs = str(row[f"published_{name}"]) if row["preset"] else ""
        cells.append(Cell(ours, theirs))
    tags = [tag("transductive", alarm=True)] if "transductive" in row["protocol"] else []
    tags += [tag("oracle", alarm=True)] if row["selection"] == "oracle" else []
    tags += [tag("simulated")] if found.simulated else []
    return Row(
        [
            Cell(row["method"], row["access"], tags),
            *cells,
            Cell(points(row["score"]), f"{points(row['low'])}–{points(row['high'])}"),
            Cell(points(row["chance"])),
        ]
    )


def _transfer_row(row: pd.Series, simulated: bool) -> Row:
    tags = [tag("transductive", alarm=True)] if "transductive" in row["protocol"] else []
    if row["selection"] == "oracle" and row["oracle"] == row["oracle"]:
        tags.append(tag("oracle", alarm=True))
    if simulated:
        tags.append(tag("simulated"))
    return Row(
        [
            Cell(row["method"], row["access"], tags),
            Cell(f"{points(row['last'])} ± {points(row['last_sd'])}"),
            Cell(
                f"{points(row['oracle'])} ± {points(row['oracle_sd'])}"
                if row["oracle"] == row["oracle"]
                else "no epochs"
            ),
            Cell(points(row["score"])),
            Cell(f"{points(row['low'])}–{points(row['high'])}"),
            Cell(points(row["chance"])),
            Cell(row["published"] if row["preset"] else "–"),
        ]
    )


def _transfer_figure(found: Reproduction, rows: pd.DataFrame, metric: str) -> dict[str, object]:
    groups = {
        found.head["transfers"][name]["title"].replace("->", "→"): {
            row["method"]: (row["last"], row["oracle"], row["metric_chance"])
            for _, row in mine.iterrows()
        }
        for name, mine in rows.groupby("transfer", sort=False)
    }
    side = rows["side"].iloc[0]
    svg = figures.transfer_dots(groups, simulated=found.simulated, label=metric)
    return figure(svg, f"Every transfer under the {side} protocol.", f"Scores, {side} protocol")


def _waterfalls(found: Reproduction) -> Section:
    section = Section("waterfall", "From the published protocol to the strict one", "Waterfall")
    whole = found.waterfall
    if not len(whole):
        return section
    section.blocks.append(
        text(
            "Each step removes one factor and keeps the ones before it removed. How large a step "
            "looks depends on its place: “alone” is the same factor removed from the published "
            "protocol as the only one. Control: as many training trials dropped at random as the "
            "stimulus-disjoint modifier drops. p is corrected for all rows by Holm's method.",
            note=True,
        )
    )
    for name, rows in whole.groupby("group", sort=False):
        title = str(found.head["transfers"][name]["title"]).replace("->", "→")
        section.blocks.append(heading(title))
        chain = rows[rows["role"].isin(["start", "chain"]) & rows["score"].notna()]
        if len(chain) > 1:
            svg = figures.waterfall_bars(
                ["published", *chain["step"].tolist()[1:]],
                chain["score"].tolist(),
                list(zip(chain["low"], chain["high"], strict=True)),
                chance=_chance(found, str(name)),
                simulated=found.simulated,
            )
            section.blocks.append(
                figure(
                    svg,
                    f"{title}. From what was published to what is strict.",
                    f"Waterfall, {title}",
                )
            )
        section.blocks.append(_waterfall_table(rows))
        skipped = found.head["skipped"].get(name, [])
        if skipped:
            section.blocks.append(heading("Factors without a step"))
            section.blocks.append(listing(f"{step}: {_short(reason)}" for step, reason in skipped))
    return section


def _waterfall_table(rows: pd.DataFrame) -> dict[str, object]:
    columns = ["removed", "what is run", "#balanced accuracy", "#step", "#95 % interval", "#p"]
    columns += ["#alone"]
    alone = {r["step"]: r for _, r in rows[rows["role"] == "alone"].iterrows()}
    body = []
    for _, row in rows[rows["role"] != "alone"].iterrows():
        name = row["step"] or "nothing"
        if row["role"] == "control":
            name += ", control"
        tags = [tag("oracle", alarm=True)] if row["selection"] == "oracle" else []
        if "transductive" in row["protocol"]:
            tags.append(tag("transductive", alarm=True))
        single = alone.get(row["step"]) if row["role"] == "chain" else None
        known = row["difference"] == row["difference"]
        body.append(
            Row(
                [
                    Cell(name, row["reason"], tags),
                    Cell(row["meaning"]),
                    Cell(points(row["score"])),
                    Cell(gap(row["difference"])),
                    Cell(f"{gap(row['low'])} to {gap(row['high'])}" if known else "–"),
                    Cell(f"{row['p_holm']:.3f}" if row["p_holm"] == row["p_holm"] else "–"),
                    Cell("–" if single is None else gap(single["difference"])),
                ]
            )
        )
    return table(columns, body)


def _chance(found: Reproduction, group: str) -> float:
    row = next(r for r in found.part("waterfall", group) if r.result is not None)
    return 1.0 / len(row.meta["classes"])


def _published(found: Reproduction) -> Section:
    section = Section("published", "Published numbers around it", "Published")
    around = found.around() if found.head["experiment"] else []
    if not around:
        return section
    section.blocks.append(
        text(
            "None of these may be put in a column with ours unless the last column is empty.",
            note=True,
        )
    )
    body = [
        Row(
            [
                Cell(number.title, MARKS[number.mark]),
                Cell(
                    f"{' + '.join(number.trained_on)} → {number.target}"
                    if number.trained_on
                    else number.target or "average"
                ),
                Cell(
                    number.text + (" points" if number.what == "gain" else ""),
                    number.metric.replace("_", " "),
                ),
                Cell(number.source, number.note),
                Cell("; ".join(apart) or "nothing: it stands beside ours above"),
            ]
        )
        for number, apart in around
    ]
    columns = [
        "method",
        "transfer",
        "#number",
        "source",
        "differs from the published protocol here",
    ]
    section.blocks.append(table(columns, body))
    return section


def _not_run(found: Reproduction) -> Section:
    section = Section("refused", "What could not be run", "Not run")
    reasons = [
        f"{row.group}, {row.label}: {_short(row.reason)}" for row in found.rows if row.reason
    ]
    if reasons:
        section.blocks.append(listing(dict.fromkeys(reasons)))
    return section


def _short(words: str, length: int = 400) -> str:
    words = " ".join(words.split())
    return words if len(words) <= length else words[:length].rsplit(" ", 1)[0] + " …"
