"""The page's sections about changes of the method: ablations and sweeps."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from affectrum.report.blocks import Cell, Row, Section, figure, heading, table, text
from affectrum.report.wording import points
from affectrum.reproduce import figures
from affectrum.reproduce.results import NOT_AVAILABLE, Reproduction

__all__ = ["ablations", "gap", "sweeps"]


def ablations(found: Reproduction) -> Section:
    """Build the section of ablations, one table for each transfer.

    Parameters
    ----------
    found : Reproduction
        The results.

    Returns
    -------
    Section
        Without content if nothing was changed.
    """
    section = Section("ablations", "Ablations", "Ablations")
    whole = found.ablations
    if not len(whole):
        return section
    side = found.head.get("study_side", "strict")
    known = (whole["published"] != NOT_AVAILABLE).any()
    section.blocks.append(
        text(
            f"One part changed at a time, under the {side} protocol. "
            + (
                "Published numbers stand where nothing differs: a score, or the points by which "
                "the score changed."
                if known
                else "No published number was made under the very same conditions."
            ),
            note=True,
        )
    )
    groups = whole.groupby("group", sort=False)
    for name, rows in groups:
        title = found.head["transfers"][name]["title"].replace("->", "→")
        if len(groups) > 1:
            section.blocks.append(heading(title))
        done = rows[rows["difference"].notna()]
        if len(done):
            svg = figures.ablation_bars(
                done["label"].tolist(),
                done["difference"].tolist(),
                list(zip(done["low"], done["high"], strict=True)),
                done["supported"].tolist(),
                simulated=found.simulated,
            )
            caption = f"{title}, {side} protocol. Bars: 95 % intervals."
            section.blocks.append(figure(svg, caption, f"Ablations, {title}"))
        section.blocks.append(text(_supported(done)))
        labels = [[label] for label in rows["label"]]
        numbers = rows["published"].tolist() if known else None
        section.blocks.append(_gap_table(rows, ["variant"], labels, numbers))
    return section


def sweeps(found: Reproduction) -> Section:
    """Build the section of sweeps.

    Parameters
    ----------
    found : Reproduction
        The results.

    Returns
    -------
    Section
        Without content if nothing was swept.
    """
    section = Section("sensitivity", "Sensitivity", "Sensitivity")
    rows = found.sweeps
    if not len(rows):
        return section
    title = found.head["transfers"][found.head["study"]]["title"].replace("->", "→")
    side = found.head.get("study_side", "strict")
    section.blocks.append(
        text(
            f"{title}, {side} protocol. One number moves, the others hold still (ringed). The "
            "published curves are not available. The best of several values on the test is an "
            "oracle, too: it must not be reported as a score.",
            note=True,
        )
    )
    done = rows[rows["score"].notna()]
    first = next((r for r in found.part("sweeps") if r.result is not None), None)
    if first is not None:
        panels = {
            str(name): [
                (r["value"], r["score"], r["interval_low"], r["interval_high"], bool(r["base"]))
                for _, r in mine.iterrows()
            ]
            for name, mine in done.groupby("title", sort=False)
        }
        svg = figures.sweep_panels(
            panels, chance=1.0 / len(first.meta["classes"]), simulated=found.simulated
        )
        section.blocks.append(figure(svg, f"{title}. Bars: 95 % intervals.", "Sensitivity"))
    section.blocks.append(text(_supported(done[~done["base"].astype(bool)])))
    labels = [[r["title"], str(r["value"])] for _, r in rows.iterrows()]
    section.blocks.append(_gap_table(rows, ["parameter", "value"], labels))
    return section


def _gap_table(
    rows: pd.DataFrame,
    columns: Sequence[str],
    labels: Sequence[Sequence[str]],
    published: Sequence[str] | None = None,
) -> dict[str, object]:
    head = [*columns, "#balanced accuracy", "#difference", "#95 % interval", "#p"]
    head += [] if published is None else ["#published"]
    body = []
    for number, (words, (_, row)) in enumerate(zip(labels, rows.iterrows(), strict=True)):
        known = row["difference"] == row["difference"]
        body.append(
            Row(
                [
                    Cell(words[0], row["reason"]),
                    *(Cell(word) for word in words[1:]),
                    Cell(points(row["score"])),
                    Cell(gap(row["difference"])),
                    Cell(f"{gap(row['low'])} to {gap(row['high'])}" if known else "–"),
                    Cell(f"{row['p_holm']:.3f}" if row["p_holm"] == row["p_holm"] else "–"),
                    *([] if published is None else [Cell(published[number])]),
                ]
            )
        )
    return table(head, body)


def _supported(rows: pd.DataFrame) -> str:
    """Say in a sentence which differences are supported."""
    names = rows.loc[rows["supported"].astype(bool), "label"].tolist()
    n = int(rows["p_value"].notna().sum())
    if names:
        return f"Supported at 5 % after Holm's correction of {n} tests: {', '.join(names)}."
    return f"No difference is supported at 5 % after Holm's correction of {n} tests."


def gap(value: float) -> str:
    """Say a difference in points, with its sign.

    Parameters
    ----------
    value : float
        Share; NaN for unknown.
    """
    return f"{100 * value:+.1f}" if value == value else "–"
