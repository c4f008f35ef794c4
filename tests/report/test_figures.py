"""Every figure: an element of its own, marked where anything is simulated."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest

from affectrum.electrodes import topo_xy
from affectrum.report import figures, maps, style

RNG = np.random.default_rng(0)
NAMES = ["scmm", "svm [source]"]
COLOURS = style.method_colours(NAMES)
CLASSES = ["negative", "neutral", "positive"]
XY = topo_xy(["Fp1", "Fp2", "C3", "Cz", "C4", "O1", "O2"])


def points(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    groups = np.array(["source", "target"] * (n // 2))
    return RNG.standard_normal((n, 2)), np.arange(n) % 4 - 1, groups


FIGURES: dict[str, Callable[[bool], str]] = {
    "subject_strip": lambda s: figures.subject_strip(
        {"scmm": np.array([0.4, 0.6, np.nan]), "svm [source]": np.array([np.nan] * 3)},
        {"scmm": (0.3, 0.7), "svm [source]": (np.nan, np.nan)},
        COLOURS, chance=1 / 3, simulated=s,
    ),
    "confusion_matrices": lambda s: figures.confusion_matrices(
        {f"m{i}": np.array([[3, 1, 0], [0, 0, 0], [1, 1, 1]]) for i in range(5)},
        CLASSES, simulated=s,
    ),
    "epoch_curves": lambda s: figures.epoch_curves(
        {name: RNG.uniform(size=(6, 3)) for name in NAMES}, COLOURS, chance=0.5, simulated=s
    ),
    "trial_curves": lambda s: figures.trial_curves(
        {n: ([3, 6, 9], np.full(3, 0.5), np.full(3, 0.4), np.full(3, 0.7)) for n in NAMES},
        COLOURS, chance=0.5, simulated=s,
    ),
    "optimism_gap": lambda s: figures.optimism_gap(
        {"scmm": (0.5, 0.62), "svm [source]": (0.4, 0.4)}, COLOURS, simulated=s
    ),
    "reliability": lambda s: figures.reliability(
        {n: (np.array([0.4, 0.9]), np.array([0.3, 0.7]), np.array([0.5, 0.5])) for n in NAMES},
        COLOURS, simulated=s,
    ),
    "band_topomaps": lambda s: maps.band_topomaps(
        {c: RNG.standard_normal((len(XY), 2)) for c in CLASSES}, ["alpha", "beta"], XY,
        simulated=s, label="SD",
    ),
    "importance_map": lambda s: maps.importance_map(
        {n: np.zeros(len(XY)) for n in NAMES}, XY, simulated=s, label="drop"
    ),
    "embedding_pair": lambda s: maps.embedding_pair(
        {"before": points(40), "after": points(40)}, CLASSES, simulated=s
    ),
    "weight_curves": lambda s: maps.weight_curves(
        {"strict": (np.arange(5.0), np.linspace(0.9, 0.1, 5))}, {"same trial": 0.4}, simulated=s
    ),
}  # fmt: skip


def test_no_figure_is_forgotten() -> None:
    assert set(FIGURES) == set(figures.__all__) | {n for n in maps.__all__ if "colours" not in n}


@pytest.mark.parametrize("name", FIGURES)
def test_an_svg_element_with_the_mark_of_simulated_data(name: str) -> None:
    before = dict(matplotlib.rcParams)
    marked, plain = FIGURES[name](True), FIGURES[name](False)
    # matplotlib draws letters as paths and keeps the words in a comment
    assert "<!-- SIMULATED DATA -->" in marked
    assert "SIMULATED" not in plain
    for svg in (marked, plain):
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib  # it fits its box, on a phone too
        assert not re.search(r"\bnan\b", re.sub(r"<!--.*?-->", "", svg))
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", FIGURES)
def test_ids_of_two_figures_never_meet(name: str) -> None:
    ids = []
    for svg in (FIGURES[name](True), FIGURES[name](True)):
        mine = re.findall(r'\bid="([^"]+)"', svg)
        assert len(mine) == len(set(mine))
        used = re.findall(r"url\(#([^)]+)\)", svg) + re.findall(r'xlink:href="#([^"]+)"', svg)
        assert set(used) <= set(mine)
        ids.append(set(mine))
    assert ids[0]
    assert not ids[0] & ids[1]


def test_a_figure_is_drawn_alike_each_time() -> None:
    def drawing() -> str:
        return re.sub(r"\bf\d+-", "", FIGURES["subject_strip"](True))

    assert drawing() == drawing()


def test_one_colour_for_each_of_eight_methods() -> None:
    colours = style.method_colours([f"m{i}" for i in range(10)])
    assert len(set(list(colours.values())[:8])) == 8
    assert colours["m8"] == colours["m0"]


def test_no_figure_stays_open() -> None:
    import matplotlib.pyplot as plt

    for draw in FIGURES.values():
        draw(True)
    assert plt.get_fignums() == []
