"""Recipes: everything between a vendor file and a window, under one name and one digest.

A recipe is the store's key together with the files' fingerprints, and what `make_folds` compares
before it lets corpora share a task. The steps run in one order for every corpus: common electrode
set, reference over that set, filtering, resampling, windows, features, smoothing.
"""

from __future__ import annotations

from affectrum.recipes.named import RECIPES, for_corpora, get_recipe, keeps_volts, templates
from affectrum.recipes.recipe import COMMON, OWN, Recipe

__all__ = [
    "COMMON",
    "OWN",
    "RECIPES",
    "Recipe",
    "for_corpora",
    "get_recipe",
    "keeps_volts",
    "templates",
]
