"""The default plan: every corpus against every other, every method that the access allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrum.affect import get_scheme
from affectrum.benchmark.places import CorpusPlace, read_places, read_yaml
from affectrum.benchmark.tasks import MethodPlan, TaskPlan
from affectrum.catalog import get, is_known
from affectrum.errors import ConfigError, check_option
from affectrum.protocols.catalogue import grants_of
from affectrum.recipes import for_corpora, get_recipe

if TYPE_CHECKING:
    from affectrum.benchmark.plan import Plan

__all__ = ["MODES", "field_map_content", "field_methods", "field_tasks", "plan_or_map"]

#: How the target is used, from nothing to most: the ends of the protocols' names.
MODES: tuple[str, ...] = ("zero-shot", "unsupervised", "calibrated")

# Class schemes in the order in which they are taken where both sides can fill them: the first is
# the field's, the others are there for corpora with ratings.
_SCHEMES = ("valence3", "valence2", "arousal2")
# Baselines that learn from either side: "is the source worth having?" needs both.
_TWO_ARMS = ("svm", "logistic", "mlp")


def field_methods() -> tuple[MethodPlan, ...]:
    """Return every method on features that comes with the package, baselines once for each side.

    Methods on signals take windows of another recipe: name them in a plan of their own.
    """
    from affectrum.methods.registry import get_method_class, method_names

    methods = []
    for name in method_names():
        if get_method_class(name).kinds == ("raw",):
            continue
        if name in _TWO_ARMS:
            methods += [MethodPlan(name=name, arm=arm) for arm in ("source", "calibration")]
        else:
            methods.append(MethodPlan(name=name))
    return tuple(methods)


def field_tasks(
    corpora: Sequence[str],
    methods: Sequence[MethodPlan],
    *,
    modes: Sequence[str] = MODES,
    schemes: Sequence[str] = _SCHEMES,
    **fields: Any,
) -> list[TaskPlan]:
    """Return all ordered pairs, then each corpus left out of all, under each use of the target.

    Parameters
    ----------
    corpora : sequence of str
        At least two of the catalog.
    methods : sequence of MethodPlan
        A task names those that its access allows; a task that allows none is left out, as is an
        unsupervised one if no method would use the target's signals.
    modes : sequence of str
        Of `MODES`.
    schemes : sequence of str
        Class schemes in order of preference; the first that both sides can fill is taken. Where
        there is none, the target's own is calibrated, and the source's labels are withheld.
    **fields
        Further fields of every task.

    Returns
    -------
    list of TaskPlan
        In the order of `corpora`.

    Raises
    ------
    ConfigError
        If a corpus or a mode is unknown, a corpus is named twice, or there is but one.
    """
    unknown = [name for name in corpora if not is_known(name)]
    if unknown:
        raise ConfigError(
            f"{', '.join(unknown)}: not in the catalog, so that nobody knows which classes the "
            "labels fill. Write the tasks yourself (see `affectrum plan --help`)."
        )
    names = [get(name).name for name in corpora]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ConfigError(f"Corpora are named twice: {', '.join(doubled)}.")
    if len(names) < 2:
        raise ConfigError(
            f"A map needs at least two corpora; received {', '.join(names) or 'none'}."
        )
    for mode in modes:
        check_option("modes", mode, MODES)
    fits = {
        name: [scheme for scheme in schemes if get_scheme(scheme).supports(name)] for name in names
    }
    tasks = []
    for content in [*_pairs(names, fits), *_left_out(names, fits)]:
        for mode in modes:
            protocol = f"{content['family']}/{mode}"
            withheld = not content.get("source_labels", True)
            if withheld and mode != "calibrated":
                continue
            allowed = _allowed(methods, protocol, withheld)
            if not allowed:
                continue
            given = {name: value for name, value in content.items() if name != "family"}
            named = None if len(allowed) == len(methods) else tuple(allowed)
            tasks.append(TaskPlan(**{**given, "protocol": protocol, "methods": named, **fields}))
    return tasks


def _pairs(names: Sequence[str], fits: Mapping[str, list[str]]) -> Iterator[dict[str, Any]]:
    for source in names:
        for target in names:
            if source == target or not fits[target]:
                continue
            shared = [scheme for scheme in fits[target] if scheme in fits[source]]
            content: dict[str, Any] = {"family": "cross-corpus", "source": source, "target": target}
            if shared:
                yield {**content, "classes": shared[0]}
            else:
                yield {**content, "classes": fits[target][0], "source_labels": False}


def _left_out(names: Sequence[str], fits: Mapping[str, list[str]]) -> Iterator[dict[str, Any]]:
    """Each corpus against all others that share a scheme with it, as many as one can have."""
    for target in names:
        best: tuple[str, list[str]] | None = None
        for scheme in fits[target]:
            sources = [name for name in names if name != target and scheme in fits[name]]
            if best is None or len(sources) > len(best[1]):
                best = scheme, sources
        # With one source it would be a pair under another name.
        if best is not None and len(best[1]) > 1:
            yield {
                "family": "leave-one-corpus-out",
                "source": tuple(best[1]),
                "target": target,
                "classes": best[0],
            }


def _allowed(methods: Sequence[MethodPlan], protocol: str, withheld: bool) -> list[str]:
    """Titles of the methods that can run on what a protocol grants."""
    from affectrum.methods.baselines import ARM_GRANTS

    grants = [name for name in grants_of(protocol) if not (withheld and name == "source_labels")]
    titles, using = [], 0
    for entry in methods:
        method = entry.make()
        arm = getattr(method.config, "arm", "auto")
        if method.missing_grants(grants) or any(n not in grants for n in ARM_GRANTS.get(arm, ())):
            continue
        using += "target_unlabelled" in method.needs
        titles.append(entry.title)
    if "target_unlabelled" in grants and not using:
        return []  # nobody would look: the zero-shot scores once more
    return titles


def field_map_content(
    corpora: Sequence[str] | Mapping[str, Any] | Path,
    *,
    methods: Sequence[MethodPlan | str | Mapping[str, Any]] | None = None,
    recipe: str = "de-common",
    **options: Any,
) -> dict[str, Any]:
    """Return what `Plan.field_map` is made of, as plain data for `Plan.from_dict`.

    Parameters
    ----------
    corpora : sequence of str, mapping, or Path
        Names; or names with folders or places; or a paths file.
    methods : sequence, optional
        As in a plan. Default: `field_methods`.
    recipe : str
        Of all tasks. One at the electrodes that corpora share takes those of the whole map, so that
        every pair stands in one matrix; where no such set is known, those of each task.
    **options
        Arguments of `field_tasks` (`modes`, `schemes`), fields of every task, and other fields of
        the plan.

    Returns
    -------
    dict

    Raises
    ------
    ConfigError
        As `field_tasks`.
    """
    from affectrum.benchmark.plan import Plan

    if isinstance(corpora, Path):
        places: dict[str, Any] = dict(read_places(corpora))
    elif isinstance(corpora, Mapping):
        places = {name: CorpusPlace.model_validate(place) for name, place in corpora.items()}
    else:
        places = {}
    names = list(places) if places or isinstance(corpora, Mapping | Path) else list(corpora)
    entries = (
        field_methods()
        if methods is None
        else tuple(MethodPlan.model_validate(entry) for entry in methods)
    )
    plan = {name: options.pop(name) for name in list(options) if name in Plan.model_fields}
    tasks = field_tasks(names, entries, recipe=_of_the_map(recipe, names), **options)
    if not tasks:
        raise ConfigError(
            f"No transfer can be made of {', '.join(names)} with the methods "
            f"{', '.join(entry.title for entry in entries)}."
        )
    return {
        "name": "the field's map",
        **plan,
        "corpora": places,
        "tasks": tasks,
        "methods": entries,
    }


def _of_the_map(recipe: str, names: Sequence[str]) -> str:
    filled = for_corpora(recipe, names)
    try:
        get_recipe(filled)
    except ConfigError:
        return recipe
    return filled


def plan_or_map(path: Path) -> Plan:
    """Read a plan; of a paths file, which has no tasks, make the field's map.

    Parameters
    ----------
    path : Path
        A YAML file.

    Returns
    -------
    Plan

    Raises
    ------
    ConfigError
        If it is neither.
    """
    from affectrum.benchmark.plan import Plan, load_plan

    data = read_yaml(path)
    corpora = data.get("corpora", data)
    if "tasks" in data or "methods" in data or not isinstance(corpora, dict):
        return load_plan(path)
    if not corpora or not all(is_known(str(name)) for name in corpora):
        return load_plan(path)  # its message names what is wrong with it as a plan
    return Plan.field_map(path, store=path.parent / "store")
