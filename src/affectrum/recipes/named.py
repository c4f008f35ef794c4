"""The named recipes, and how a recipe is found by name or file."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from affectrum import catalog
from affectrum.errors import ConfigError, did_you_mean
from affectrum.recipes.recipe import COMMON, Recipe

__all__ = ["RECIPES", "for_corpora", "get_recipe", "keeps_volts", "templates"]


class _Recipes(Mapping[str, Recipe]):
    """The named recipes of `data/recipes.yaml`, read when they are first asked for."""

    def __init__(self) -> None:
        self._built: dict[str, Recipe] = {}

    @functools.cached_property
    def _definitions(self) -> dict[str, dict[str, Any]]:
        return {name: d for name, d in self._all.items() if d.get("electrodes") != COMMON}

    @functools.cached_property
    def templates(self) -> dict[str, dict[str, Any]]:
        """Recipes at the electrodes that the corpora of a task share, without these."""
        return {name: d for name, d in self._all.items() if d.get("electrodes") == COMMON}

    @functools.cached_property
    def _all(self) -> dict[str, dict[str, Any]]:
        import yaml

        text = resources.files("affectrum").joinpath("data/recipes.yaml").read_text("utf-8")
        # libyaml where PyYAML was built with it: ten times as fast
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return dict(yaml.load(text, Loader=loader))

    def __getitem__(self, name: str) -> Recipe:
        if name not in self._built:
            self._built[name] = Recipe(name=name, **self._definitions[name])
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)


#: The named recipes, name -> Recipe; `description` says in a line what each is for.
RECIPES: Mapping[str, Recipe] = _Recipes()

_FILLED = re.compile(r"(?P<name>[\w-]+)\((?P<corpora>[^()]+)\)")


def templates() -> dict[str, str]:
    """Return the recipes that are made for the corpora of a task, name -> description.

    Their electrodes are those that all of the corpora have. A plan fills the corpora in; elsewhere
    they are given as in ``"de-common(SEED, FACED)"``.
    """
    assert isinstance(RECIPES, _Recipes)
    return {name: str(d.get("description", "")) for name, d in RECIPES.templates.items()}


def for_corpora(recipe: str, corpora: Iterable[str]) -> str:
    """Return the recipe's name with the corpora filled in, if it is one of `templates`.

    Parameters
    ----------
    recipe : str
        Any recipe's name or file.
    corpora : iterable of str
        Corpora of one task.

    Returns
    -------
    str
        For example ``"de-common(FACED, SEED)"``, corpora in alphabetical order; `recipe` as it is
        if it is no template.
    """
    if recipe.casefold() not in templates():
        return recipe
    named = sorted({catalog.get(name).name if catalog.is_known(name) else name for name in corpora})
    return f"{recipe.casefold()}({', '.join(named)})"


def _fill_template(text: str) -> Recipe | None:
    assert isinstance(RECIPES, _Recipes)
    filled = _FILLED.fullmatch(text.strip())
    name = (filled["name"] if filled else text).casefold()
    if name not in RECIPES.templates:
        return None
    if filled is None:
        raise ConfigError(
            f"The recipe {name!r} takes the electrodes that several corpora have in common; say "
            f"which, as in '{name}(SEED, FACED)'. In a plan the task's corpora are filled in."
        )
    values = {**RECIPES.templates[name], "electrodes": f"common({filled['corpora']})"}
    return Recipe(name=text.strip(), **values)


def get_recipe(recipe: str | Path | Recipe) -> Recipe:
    """Find a recipe by its name or read it from a YAML file.

    Parameters
    ----------
    recipe : str, Path or Recipe
        A name of `RECIPES`, a path that ends in .yaml or .yml, one of `templates` with its corpora
        as in ``"de-common(SEED, FACED)"``, or a recipe, which is returned.

    Returns
    -------
    Recipe

    Raises
    ------
    ConfigError
        If there is no such name or file, or the file is faulty.

    Examples
    --------
    >>> get_recipe("de62").window_s
    1.0
    """
    if isinstance(recipe, Recipe):
        return recipe
    text = str(recipe)
    if text in RECIPES:
        return RECIPES[text]
    if text.casefold() in RECIPES:
        return RECIPES[text.casefold()]
    filled = _fill_template(text)
    if filled is not None:
        return filled
    if Path(text).suffix.casefold() in (".yaml", ".yml"):
        return Recipe.from_yaml(text)
    raise ConfigError(
        f"There is no recipe {text!r}. Known recipes: {', '.join([*RECIPES, *templates()])}; or "
        f"give a file that ends in .yaml.{did_you_mean(text, [*RECIPES, *templates()])}"
    )


def keeps_volts(recipe: str) -> bool:
    """Whether a recipe leaves each corpus its own electrodes, which no scaler fits in general.

    Windows of such recipes are not scaled unless somebody asks for it, also where the shapes of two
    corpora happen to agree.

    Parameters
    ----------
    recipe : str
        As `get_recipe` takes it, or the digest of a named recipe, which windows of the store
        carry. Of anything else nothing is known, and the answer is no.

    Returns
    -------
    bool
    """
    if recipe in _digests_that_keep_volts():
        return True
    try:
        return get_recipe(recipe).own_electrodes
    except ConfigError:
        return False


@functools.cache
def _digests_that_keep_volts() -> frozenset[str]:
    return frozenset(known.digest() for known in RECIPES.values() if known.own_electrodes)
