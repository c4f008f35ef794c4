"""A recovery study in words: a page by itself, and the part of the documentation that holds it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from affectrum.benchmark.files import write_file
from affectrum.errors import StoreError
from affectrum.report.blocks import Cell, Row, Section, figure, listing, table, text
from affectrum.report.page import render_page
from affectrum.report.page import write_page as put_page
from affectrum.reproduce.recovery.diagnosis import drawn_words, pretraining_losses
from affectrum.reproduce.recovery.figures import LABELS, recovery_curves
from affectrum.reproduce.recovery.plan import ARMS, SCRATCH
from affectrum.reproduce.recovery.results import READOUTS, Recovery

__all__ = ["finding", "gains_markdown", "recovery_markdown", "state", "write_recovery"]

_NO_CLAIM = (
    "All corpora here are simulated. The curves show whether and when this method recovers an "
    "effect that was put into them. They claim nothing about people, about real corpora, or about "
    "which method is better on them."
)
_EXPECTED = (
    "Expected beforehand: no gain at zero effect, the largest in the middle, none at the ceiling."
)


def state(found: Recovery) -> str:
    """Say how much of a study is finished."""
    done = len(found.cells)
    total = done + len(found.missing)
    if not found.missing:
        return f"All {total} cells are finished."
    return (
        f"{done} of {total} cells are finished. What follows rests on these and is interim; levels "
        "without two replicates have no test."
    )


def finding(found: Recovery, readout: str = "finetuned") -> list[str]:
    """Say in sentences what is supported, pair by pair, and what could not be tested.

    Parameters
    ----------
    found : Recovery
        The study.
    readout : str
        One of `READOUTS`.

    Returns
    -------
    list of str
        One sentence for each of the claim's pairs, and one for each test of the shape.
    """
    gains = found.gains(readout)
    said = []
    claims = gains[gains["claim"].astype(bool)]
    for (first, second), rows in claims.groupby(["first", "second"], sort=False):
        tested = rows[rows["p_value"].notna()]
        name = f"{LABELS[str(first)]}, over {LABELS[str(second)]}"
        if not len(tested):
            said.append(f"{name}: not tested, since no level has two finished replicates.")
            continue
        sure = tested[tested["supported"].astype(bool)]
        largest = tested.iloc[int(tested["difference"].abs().to_numpy().argmax())]
        # the test has two sides: a sure loss is no support
        gain, loss = (
            ", ".join(f"{level:g}" for level in sure["level"][sign * sure["difference"] > 0])
            for sign in (1, -1)
        )
        n_tested = "the one level" if len(tested) == 1 else f"the {len(tested)} levels"
        verdict = f"supported at effect {gain}, of" if gain else "supported at none of"
        opposite = f"; the opposite is supported at effect {loss}" if loss else ""
        said.append(
            f"{name}: {verdict} {n_tested} tested{opposite}; largest difference "
            f"{100 * largest['difference']:+.1f} points at effect {largest['level']:g} (95 % "
            f"interval {100 * largest['low']:+.1f} to {100 * largest['high']:+.1f})."
        )
    for _, row in found.shape(readout).iterrows():
        name = f"{LABELS[row['first']]}, over {LABELS[row['second']]}"
        interval = (
            f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}, p {row['p_value']:.3f}, "
            "uncorrected"
            if np.isfinite(row["p_value"])
            else "not tested"
        )
        said.append(
            f"{name}: the gain at effect {row['level']:g} less that at effect {row['end']:g} is "
            f"{100 * row['difference']:+.1f} points ({interval}, replicates: {row['n_seeds']})."
        )
    return said


def write_recovery(found: Recovery, out: str | os.PathLike[str]) -> Path:
    """Write ``recovery.html``, ``recovery.md`` and ``recovery.png`` into a folder.

    Parameters
    ----------
    found : Recovery
        The study.
    out : path
        The folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    StoreError
        If nothing is finished, or the folder can't be written.
    """
    if not found.cells:
        raise StoreError("No cell of this study is finished, so there is nothing to show.")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    section = Section("curves", "Recovery curves", "Curves")
    section.blocks.append(text(f"{_NO_CLAIM} {_EXPECTED} {state(found)}"))
    sections = [section]
    for readout, meaning in READOUTS.items():
        svg = recovery_curves(
            found, readout, png=out / "recovery.png" if readout == "finetuned" else None
        )
        part = (
            section if readout == "finetuned" else Section(readout, meaning.capitalize(), "Probe")
        )
        if part is not section:
            sections.append(part)
        part.blocks.append(figure(svg, _caption(found, readout), f"Recovery curves, {meaning}"))
        part.blocks.append(listing(finding(found, readout)))
        part.blocks.append(_block(_score_rows(found, readout), _SCORE_HEAD))
        part.blocks.append(_block(_gain_rows(found, readout), _GAIN_HEAD))
    learnt = Section("learnt", "What pre-training learnt", "Learnt")
    learnt.blocks.append(text(_LEARNT, note=True))
    learnt.blocks.append(_block(_loss_rows(found), _LOSS_HEAD))
    learnt.blocks.append(listing(_drawn(found)))
    sections.append(learnt)
    setting = Section("setting", "What was run", "Setting")
    setting.blocks.append(listing(_setting(found)))
    sections.append(setting)
    html = render_page(
        title="Does guidance by valence and arousal recover a planted effect?",
        subtitle=f"EMOD on simulated corpora; {state(found)}",
        parts=sections,
        simulated=True,
        footer=_machine(found),
    )
    write_file(out / "recovery.md", recovery_markdown(found).encode("utf-8"))
    return put_page(out / "recovery.html", html)


def recovery_markdown(found: Recovery) -> str:
    """Return tables and sentences for the documentation.

    Parameters
    ----------
    found : Recovery
        The study.

    Returns
    -------
    str
        Markdown, ending in a newline.
    """
    lines = [f"**Simulated.** {state(found)} {_machine(found)}.", "", _WORDS, ""]
    for readout, meaning in READOUTS.items():
        lines += [f"### {meaning[0].upper()}{meaning[1:]}", ""]
        lines += [f"* {sentence}" for sentence in finding(found, readout)]
        lines += ["", *_markdown(_score_rows(found, readout), _SCORE_HEAD), ""]
        lines += [*_markdown(_gain_rows(found, readout), _GAIN_HEAD), ""]
    lines += ["### What pre-training learnt", "", _LEARNT, ""]
    return _ended(lines, found)


def gains_markdown(found: Recovery) -> str:
    """Return the differences between arms alone, for a study beside another one.

    Parameters
    ----------
    found : Recovery
        The study.

    Returns
    -------
    str
        Markdown, ending in a newline.
    """
    lines = [f"**Simulated.** {state(found)} {_machine(found)}.", ""]
    for readout, meaning in READOUTS.items():
        lines += [f"{meaning[0].upper()}{meaning[1:]}:", ""]
        lines += [*_markdown(_gain_rows(found, readout), _GAIN_HEAD), ""]
    return _ended(lines, found)


def _ended(lines: list[str], found: Recovery) -> str:
    """Join lines of a page, and end it with losses and the words that were drawn."""
    learnt = [*_markdown(_loss_rows(found), _LOSS_HEAD), ""]
    drawn = [f"* {sentence}" for sentence in _drawn(found)]
    return "\n".join([*lines, *learnt, *drawn]).rstrip() + "\n"


_SCORE_HEAD = ("effect", "arm", "#balanced accuracy, %", "#95 % interval", "#SD of seeds", "#seeds")
_GAIN_HEAD = (
    "effect",
    "difference",
    "#points",
    "#95 % interval",
    "#p people",
    "#p seeds",
    "#p corrected",
    "#detectable",
    "#seeds",
)


_LOSS_HEAD = (
    "effect",
    "arm",
    "#first step",
    "#last steps",
    "#all alike",
    "#floor",
    "#share of the way",
    "#seeds",
)
_WORDS = (
    "V-A: valence-arousal. Seeds are replicates. p people: people and clips drawn anew; p seeds: t "
    "test over replicates; detectable: the smallest true difference that so many replicates find "
    "in four of five repetitions. With one replicate an interval is of people and clips only, so "
    "it looks narrower than it is. Under the frozen backbone, from scratch is a network of random "
    "weights."
)
_LEARNT = (
    "Loss of pre-training in nats. All alike: its value where every window looks the same. Floor: "
    "what no representation can go below, the entropy of the soft weights; the nearer both are, "
    "the less the loss can teach."
)


def _drawn(found: Recovery) -> list[str]:
    """Say which words each arm's batches hold; where arms differ, so do their gains."""
    said = []
    for arm in found.plan.arms:
        if arm != SCRATCH:
            shares = drawn_words(found.plan, arm)
            listed = ", ".join(f"{word} {100 * share:.0f} %" for word, share in shares.items())
            said.append(f"Drawn for {LABELS[arm]}: {listed}.")
    return said


def _loss_rows(found: Recovery) -> list[list[str]]:
    return [
        [
            f"{row['level']:g}",
            LABELS[row["arm"]],
            *(f"{row[name]:.3f}" for name in ("first", "last", "blind", "floor")),
            f"{100 * row['used']:.0f} %",
            str(row["n_seeds"]),
        ]
        for _, row in pretraining_losses(found).iterrows()
    ]


def _score_rows(found: Recovery, readout: str) -> list[list[str]]:
    return [
        [
            f"{row['level']:g}",
            LABELS[row["arm"]],
            f"{100 * row['score']:.1f}",
            _interval(row, sign=False),
            _number(100 * row["seed_sd"], 1),
            str(row["n_seeds"]),
        ]
        for _, row in found.scores(readout).iterrows()
    ]


def _gain_rows(found: Recovery, readout: str) -> list[list[str]]:
    return [
        [
            f"{row['level']:g}",
            f"{LABELS[row['first']]} − {LABELS[row['second']]}"
            + (
                ""
                if not row["supported"]
                else ", supported"
                if row["difference"] > 0
                else ", the opposite supported"
            ),
            f"{100 * row['difference']:+.1f}",
            _interval(row, sign=True),
            *(_p_value(row[name]) for name in ("p_people", "p_seeds", "p_holm")),
            "over 100" if row["detectable"] > 1 else _number(100 * row["detectable"], 1),
            str(row["n_seeds"]),
        ]
        for _, row in found.gains(readout).iterrows()
    ]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else _number(value, 3)


def _interval(row: pd.Series, *, sign: bool) -> str:
    if not np.isfinite(row["low"]):
        return "–"
    kind = "+.1f" if sign else ".1f"
    return f"{100 * row['low']:{kind}} to {100 * row['high']:{kind}}"


def _block(rows: Iterable[list[str]], head: tuple[str, ...]) -> dict[str, object]:
    return table(list(head), [Row([Cell(word) for word in row]) for row in rows])


def _markdown(rows: Iterable[list[str]], head: tuple[str, ...]) -> list[str]:
    line = "| " + " | ".join(name.removeprefix("#") for name in head) + " |"
    rule = "|" + "|".join("---:" if name.startswith("#") else "---" for name in head) + "|"
    return [line, rule, *("| " + " | ".join(row) + " |" for row in rows)]


def _caption(found: Recovery, readout: str) -> str:
    return (
        f"{READOUTS[readout].capitalize()}. Left: score on {found.plan.target}'s twin, which "
        "pre-training never saw; small dots: replicates; dashed: chance. Right: what the right "
        "table gains. Bars: 95 % intervals, the wider one of other people and clips, and of other "
        "replicates. Filled: a gain supported after Holm's correction over all levels and claims."
    )


def _setting(found: Recovery) -> list[str]:
    plan = found.plan
    dials = ", ".join(f"{name} {value:g}" for name, value in plan.dials.items())
    network = ", ".join(f"{name} {value}" for name, value in plan.network.items())
    return [
        *(f"{LABELS[arm]}: {ARMS[arm]}" for arm in plan.arms),
        f"pre-training: twins of {', '.join(plan.sources)}; {plan.source_subjects} people each, up "
        f"to {plan.source_trials} trials of about {plan.trial_seconds:g} s; "
        f"{plan.pretrain_epochs * plan.pretrain_steps} steps of {9 * len(plan.sources)} windows of "
        f"{plan.window_seconds} s",
        f"unseen corpus: twin of {plan.target}, classes {plan.classes}; labels of "
        f"{plan.train_subjects} people and {plan.train_clips} clips of each class; tested on "
        f"{plan.test_subjects} other people and other clips",
        f"everybody wears the {plan.cap} cap at {plan.sfreq:g} Hz; network: {network}; fine-tuning "
        f"{plan.finetune_epochs} epochs",
        f"dials that differ from the twins' default at all levels: {dials or 'none'}",
        f"replicates {', '.join(map(str, plan.seeds))}: each with its own corpora, clips, people "
        "and weights, the same at all levels and for all arms",
    ]


def _machine(found: Recovery) -> str:
    if not found.meta:
        return "Nothing was computed yet"
    dates = sorted(str(facts["finished"])[:10] for facts in found.meta.values())
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    machines = sorted({str(facts["machine"]) for facts in found.meta.values()})
    return f"Computed {when} on: {'; '.join(machines)}{_time_taken(found)}"


def _time_taken(found: Recovery) -> str:
    """Say how long the cells took, and how long at the pace of each arm's quickest one."""
    seconds: dict[str, list[float]] = {}
    for (_, _, arm), facts in found.meta.items():
        taken = facts.get("pretraining_s", 0.0) + facts.get("finetuning_s", 0.0)
        seconds.setdefault(arm, []).append(taken)
    whole = sum(map(sum, seconds.values())) / 3600
    quick = sum(len(taken) * min(taken) for taken in seconds.values()) / 3600
    if not quick:
        return ""
    paces = ", ".join(f"{LABELS[arm]} {min(taken):.0f} s" for arm, taken in seconds.items())
    return (
        f"; {whole:.1f} hours of its processes together, {quick:.1f} at the pace of each arm's "
        f"quickest cell ({paces})"
    )
