from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from affectrum.errors import ConfigError
from affectrum.harmonise import SEED62
from affectrum.recipes import RECIPES, Recipe, get_recipe

# Another allowed value for every parameter that changes numbers; a new parameter must be added.
OTHER = {
    "kind": "power",
    "electrodes": ("Fz", "Cz"),
    "how": "interpolate",
    "reference": "none",
    "bandpass": (1.0, 40.0),
    "filter_order": 5,
    "notch_hz": 50.0,
    "causal": True,
    "sfreq": 128.0,
    "resample_rates": {1000.0: 200.0},
    "ica": "fastica",
    "bands": "seed",
    "window_s": 2.0,
    "step_s": 0.5,
    "method": "filter",
    "bias_corrected": True,
    "scale": "seed",
    "smoothing": "lds",
    "smoothing_windows": 7,
    "lds_transition_cov": 0.002,
    "lds_observation_cov": 2.0,
    "lds_initial_cov": 0.2,
    "artefact_flat_uv": None,
    "artefact_amplitude_uv": 150.0,
    "artefact_jump_uv": 90.0,
    "artefact_muscle": 0.5,
    "artefact_share": 0.2,
}
NAMES = {"name", "description"}


@pytest.mark.parametrize("name", sorted(set(Recipe.model_fields) - NAMES - {"source"}))
def test_changing_any_parameter_changes_the_digest(name: str) -> None:
    plain = Recipe()
    changed = plain.replace(**{name: OTHER[name]})
    assert changed.digest() != plain.digest()
    assert changed.replace(**{name: getattr(plain, name)}).digest() == plain.digest()


def test_the_source_changes_the_digest() -> None:
    plain = Recipe(reference="none")
    assert len({plain.replace(source=f"shipped:{name}").digest() for name in ("a", "b")}) == 2
    assert plain.replace(source="shipped:a").digest() != plain.digest()


def test_names_are_no_part_of_the_digest() -> None:
    assert Recipe(name="a", description="b").digest() == Recipe().digest()
    listed = Recipe(electrodes=SEED62, bands={"theta": (4, 8), "alpha": (8, 14)})
    by_name = Recipe(electrodes="seed62", bands={"theta": (4.0, 8.0), "alpha": (8.0, 14.0)})
    assert listed.digest() == by_name.digest()
    swapped = listed.replace(bands={"alpha": (8, 14), "theta": (4, 8)})
    assert swapped.digest() != listed.digest()


def test_raw_windows_do_not_depend_on_bands() -> None:
    raw = get_recipe("raw62")
    assert raw.resolved_bands() == ()
    assert raw.replace(bands="seed").digest() == raw.digest()


def test_digests_stay_the_same_over_versions() -> None:
    """A change here invalidates every user's store: raise PIPELINE_VERSION knowingly instead."""
    recipe = Recipe(electrodes=("Fz", "Cz"), bands={"alpha": (8, 14)})
    assert recipe.digest() == "95dbf6eb09f3ebc05ef9"
    assert len(recipe.digest()) == 20


# ---------------------------------------------------------------- named recipes


def test_named_recipes_are_distinct_and_described() -> None:
    digests = {name: RECIPES[name].digest() for name in RECIPES}
    assert len(set(digests.values())) == len(RECIPES)
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.description
        assert "\n" not in recipe.description
    assert {"de62", "de32", "de62x4", "de32x5", "raw62"} <= set(RECIPES)


@pytest.mark.parametrize(
    ("name", "n_electrodes", "n_bands"),
    [("de62", 62, 5), ("de32", 32, 4), ("de62x4", 62, 4), ("de32x5", 32, 5), ("raw62", 62, 0)],
)
def test_named_recipes_have_their_shape(name: str, n_electrodes: int, n_bands: int) -> None:
    recipe = get_recipe(name)
    assert len(recipe.electrode_names()) == n_electrodes
    assert len(recipe.resolved_bands()) == n_bands
    assert recipe.reference == "average"
    assert recipe.window_s == 1.0
    assert recipe.smoothing == ("lds" if n_bands else "none")


def test_get_recipe() -> None:
    assert get_recipe("DE62") is get_recipe("de62")
    assert get_recipe(get_recipe("de62")) is get_recipe("de62")
    with pytest.raises(ConfigError, match=r"no recipe 'de26'[\s\S]*Did you mean 'de62'"):
        get_recipe("de26")


# ---------------------------------------------------------------- YAML


def test_yaml_round_trip(tmp_path: Path) -> None:
    recipe = get_recipe("raw62").replace(name="mine", electrodes=("Fz", "Cz"), bandpass=(None, 40))
    back = get_recipe(recipe.to_yaml(tmp_path / "mine.yaml"))
    assert back == recipe
    assert back.digest() == recipe.digest()
    for name in RECIPES:
        assert get_recipe(RECIPES[name].to_yaml(tmp_path / f"{name}.yml")) == RECIPES[name]


def test_yaml_may_build_on_a_named_recipe(tmp_path: Path) -> None:
    file = tmp_path / "slow.yaml"
    file.write_text("base: de62\nwindow_s: 4\n")
    recipe = get_recipe(file)
    assert recipe.name == "slow"
    assert recipe.digest() == get_recipe("de62").replace(window_s=4.0).digest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "holds list"),
        ("a: [1\n", "not valid YAML"),
        ("windw_s: 1\n", r"faulty\.yaml[\s\S]*Did you mean 'window_s'"),
        ("base: de26\n", "Did you mean 'de62'"),
        ("!!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
)
def test_faulty_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "faulty.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        get_recipe(file)
    with pytest.raises(ConfigError, match="can't be read"):
        get_recipe(tmp_path / "missing.yaml")


def test_every_parameter_is_written_to_yaml(tmp_path: Path) -> None:
    content = yaml.safe_load(Recipe().to_yaml(tmp_path / "r.yaml").read_text())
    assert set(content) == set(Recipe.model_fields)


# ---------------------------------------------------------------- faults


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Recipe(name="bad", windw_s=1, kind="dee", smoothing="ldss", step_s=-1, source="vendor")
    text = str(caught.value)
    assert "'bad'" in text
    for part in (
        "'windw_s' is no parameter",
        "Did you mean 'window_s'",
        "Did you mean 'de'",
        "Did you mean 'lds'",
        "step_s is -1",
        "source is 'vendor'",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bandpass": (40, 1)}, "first edge must be the lower"),
        ({"bandpass": (None, None)}, "no edge"),
        ({"bandpass": (0, 40)}, "above 0 Hz"),
        ({"electrodes": "SEED63"}, "electrodes: Unknown electrode set"),
        ({"electrodes": ()}, "electrodes"),
        ({"bands": "delta"}, "bands"),
        ({"bands": {}}, "bands"),
        ({"window_s": float("nan")}, "window_s"),
        ({"window_s": float("inf")}, "finite"),
        ({"kind": "raw", "smoothing": "lds"}, "needs features"),
        ({"kind": "features"}, "shipped features"),
        ({"scale": "seed", "method": "filter"}, "only with method 'fft'"),
        ({"scale": "seed", "kind": "power"}, "one of entropy"),
        ({"source": "shipped:de_LDS"}, "reference is 'average', but shipped"),
        ({"source": "shipped:de", "reference": "none", "smoothing": "lds"}, "smoothing is 'lds'"),
        ({"source": "shipped:de", "reference": "none", "kind": "raw"}, "needs signals"),
        ({"filter_order": 0}, "filter_order"),
    ],
)
def test_contradictions_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recipe(**values)


def test_a_recipe_can_not_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().window_s = 2.0
    with pytest.raises(ConfigError, match="window_s"):
        Recipe().replace(window_s=-1)


def test_a_template_takes_the_electrodes_that_all_corpora_have() -> None:
    from affectrum import catalog
    from affectrum.recipes import for_corpora, templates

    assert "de-common" in templates()
    assert "de-common" not in RECIPES
    name = for_corpora("de-common", ["seed", "FACED"])
    assert name == "de-common(FACED, SEED)"
    recipe = get_recipe(name)
    # all 30 scalp electrodes of FACED are in SEED's cap
    assert set(recipe.electrode_names()) == set(catalog.get("FACED").electrodes)
    assert recipe.digest() == get_recipe("de-common(SEED, FACED)").digest()
    assert recipe.digest() == RECIPES["de32"].replace(electrodes=recipe.electrode_names()).digest()
    assert get_recipe("de-common(SEED, DEAP)").digest() == RECIPES["de32"].digest()
    assert for_corpora("de32", ["SEED", "FACED"]) == "de32"
    with pytest.raises(ConfigError, match=r"say which, as in 'de-common\(SEED, FACED\)'"):
        get_recipe("de-common")
    with pytest.raises(ConfigError, match="No source names the electrodes of EAV"):
        get_recipe("de-common(SEED, EAV)")
    with pytest.raises(ConfigError, match="Unknown electrode set 'nowhere'"):
        get_recipe("de-common(SEED, nowhere)")


def test_a_task_fills_the_corpora_in() -> None:
    from affectrum.benchmark.tasks import TaskPlan

    task = TaskPlan(source="FACED", target="SEED", recipe="de-common")
    assert task.recipe == "de-common(FACED, SEED)"
    assert TaskPlan.model_validate(task.model_dump()) == task
