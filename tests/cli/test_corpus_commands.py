"""corpora, check, trials, twin, prepare, store, methods, protocols, doctor."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pandas as pd
import pytest

import affectrum as af
from affectrum import catalog
from affectrum.methods import method_names


def test_corpora(call) -> None:
    table = call("corpora")
    assert table.code == 0
    for name in catalog.names():
        assert name in table.out
    listed = call("corpora", "--json").json()
    assert [facts["name"] for facts in listed] == list(catalog.names())
    assert listed[0]["n_subjects"] == 15


def test_one_corpus_in_full(call) -> None:
    out = call("corpora", "seed_iv").out
    facts = catalog.get("SEED-IV")
    for words in (facts.title, facts.access, facts.url, "expected folder", "FT7"):
        assert words in out
    assert call("corpora", "SEED-IV", "--json").json()["title"] == facts.title
    wrong = call("corpora", "SEEED")
    assert wrong.code == 1
    assert "Did you mean 'SEED'" in wrong.err


def test_labels_of_all_corpora_in_one_plane(call, tmp_path: Path) -> None:
    shown = call("corpora", "--labels", "--table", "warriner")
    assert shown.code == 0
    for name in catalog.names():
        assert name in shown.out
    rows = call("corpora", "--labels", "--json").json()
    assert {row["corpus"] for row in rows} == set(catalog.names())
    happy = next(row for row in rows if (row["corpus"], row["name"]) == ("SEED-IV", "happy"))
    assert (happy["valence"], happy["arousal"], happy["n_clips"]) == (0.75, 0.5, 18)
    scale = next(row for row in rows if (row["corpus"], row["name"]) == ("DEAP", "valence"))
    assert scale["kind"] == "scale"
    assert scale["valence"] is None
    for name, start in (("l.png", b"\x89PNG"), ("l.svg", b"<svg"), ("l.html", b"<!doctype html>")):
        drawn = call("corpora", "SEED", "--labels", "--out", tmp_path / name)
        assert drawn.code == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    wrong = call("corpora", "--labels", "--out", tmp_path / "l.pdf")
    assert wrong.code == 1
    assert ".png, .svg, .html" in wrong.err
    for words in (["--out", tmp_path / "x.png"], ["--table", "warriner"], ["--labels", "--films"]):
        assert call("corpora", *words).code == 1


def test_films_that_corpora_share(call) -> None:
    told = call("corpora", "--films", "--json").json()
    assert all(len(film["corpora"]) > 1 for film in told)
    shown = call("corpora", "--films").out
    for film in told:
        assert film["title"] in shown


@pytest.mark.parametrize("name", ["SEED", "SEED-IV", "DEAP"])
def test_check_without_a_name_recognises_the_corpus(call, name: str, request) -> None:
    folder = request.getfixturevalue(f"twin_{name.lower().replace('-', '_')}")
    told = call("check", folder, "--json")
    assert told.code == 0
    assert told.json()["corpus"] == name
    assert call("check", folder).out == call("check", name, folder).out


def test_check_without_a_name_explains_why_it_can_not(
    call, tmp_path: Path, twin_seed_iv: Path, twin_deap: Path
) -> None:
    (tmp_path / "both").mkdir()
    for name, twin in (("one", twin_seed_iv), ("two", twin_deap)):
        (tmp_path / "both" / name).symlink_to(twin)
    several = call("check", tmp_path / "both")
    assert several.code == 1
    assert "holds several corpora" in several.out
    assert "affectrum check DEAP" in several.out
    assert call("check", tmp_path / "both", "--json").json()["recognised"].keys() == {
        "SEED-IV",
        "DEAP",
    }
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").write_text("x")
    for place, told in (
        (tmp_path / "none", "it holds notes.txt"),
        (tmp_path / "gone", "does not exist"),
        (tmp_path / "none" / "notes.txt", "is a file"),
        ("SEED-IV", "give its folder behind it"),
    ):
        result = call("check", place)
        assert result.code == 1
        assert told in result.out
    (tmp_path / "none" / "dataset_description.json").write_text("{}")
    assert "BIDS data set" in call("check", tmp_path / "none").out


def test_form_and_options_reach_the_reader(call, tmp_path: Path, twin_seed: Path) -> None:
    told = call("check", "SEED", twin_seed, "--form", "features", "--json")
    assert told.json()["found"]["form"] == "features" or "features" in told.out
    options = tmp_path / "told.yaml"
    options.write_text("colour: blue\n")
    for command in ("check", "trials", "prepare"):
        wrong = call(command, "SEED", twin_seed, "--options", options)
        assert wrong.code == 1
        assert "SEED has no option 'colour'" in wrong.err
    options.write_text("{}\n")
    assert call("trials", "SEED", twin_seed, "--options", options, "--json").code == 0


def test_check_of_a_usable_folder(call, twin_seed: Path) -> None:
    result = call("check", "seed", twin_seed)
    assert result.code == 0
    assert "usable" in result.out
    assert "NOT usable" not in result.out
    told = call("check", "SEED", twin_seed, "--deep", "--json").json()
    assert told["usable"] is True
    assert told["found"]["simulated"] is True
    assert told["found"]["trials_read"] == 45


def test_check_of_a_broken_folder_lists_what_to_do(call, tmp_path: Path, twin_seed: Path) -> None:
    folder = shutil.copytree(twin_seed, tmp_path / "SEED")
    (label,) = folder.rglob("label.mat")
    label.unlink()
    victim = next(p for p in sorted(folder.rglob("*.mat")))
    victim.write_bytes(victim.read_bytes()[:5000])
    result = call("check", "SEED", folder)
    assert result.code == 1
    assert "NOT usable" in result.out
    assert victim.name in result.out
    assert "->" in result.out
    told = call("check", "SEED", folder, "--json")
    assert told.code == 1
    errors = [p for p in told.json()["problems"] if p["level"] == "error"]
    assert errors
    assert all(problem["fix"] for problem in errors)


@pytest.mark.parametrize("what", ["missing", "empty", "file", "other corpus"])
def test_check_of_what_is_no_corpus(call, tmp_path: Path, twin_deap: Path, what: str) -> None:
    place = tmp_path / "x"
    if what == "empty":
        place.mkdir()
    elif what == "file":
        place.write_text("x")
    elif what == "other corpus":
        place = twin_deap
    result = call("check", "SEED", place)
    assert result.code == 1
    assert "NOT usable" in result.out
    if what == "other corpus":
        assert "looks like DEAP" in result.out


def test_unknown_corpora_are_answered_with_a_suggestion(call, tmp_path: Path) -> None:
    for words in (["check"], ["trials"], ["twin"], ["prepare"]):
        result = call(*words, "SEEDD", tmp_path)
        assert result.code == 1
        assert "Unknown corpus 'SEEDD'" in result.err
        assert "Did you mean 'SEED'" in result.err


@pytest.mark.parametrize("name", ["SEED", "SEED-IV", "DEAP"])
def test_trials_as_csv_come_back_whole(call, name: str, request) -> None:
    folder = request.getfixturevalue(f"twin_{name.lower().replace('-', '_')}")
    expected = af.open_corpus(name, folder).trials
    text = call("trials", name, folder, "--csv").out
    assert text.count("\n") == len(expected) + 1
    assert next(csv.reader(io.StringIO(text))) == list(expected.columns)
    # "NA" and the like are words here; only an empty cell is missing
    back = pd.read_csv(
        io.StringIO(text),
        dtype={column: str(kind) for column, kind in expected.dtypes.items()},
        keep_default_na=False,
        na_values=[""],
    )
    pd.testing.assert_frame_equal(back, expected, check_exact=True)


def test_trials_for_people_and_programs(call, twin_deap: Path) -> None:
    shown = call("trials", "DEAP", twin_deap)
    assert shown.code == 0
    assert "DEAP, 120 trials (SIMULATED)" in shown.out
    assert "emotion" not in shown.out  # a column without values is left out
    rows = call("trials", "DEAP", twin_deap, "--json").json()
    assert len(rows) == 120
    assert rows[0]["emotion"] is None
    both = call("trials", "DEAP", twin_deap, "--json", "--csv")
    assert both.code == 1
    assert "exclude each other" in both.err


def test_trials_options(call, twin_seed: Path) -> None:
    emod = call("trials", "SEED", twin_seed, "--json").json()
    other = call("trials", "SEED", twin_seed, "--table", "warriner", "--json").json()
    assert emod[0]["valence"] == 0.75
    assert other[0]["valence"] != 0.75
    wrong = call("trials", "SEED", twin_seed, "--table", "warinner")
    assert wrong.code == 1
    assert "'warriner'" in wrong.err
    form = call("trials", "SEED", twin_seed, "--form", "raw")
    assert form.code == 1
    assert "'preprocessed'" in form.err


def test_trials_with_classes_say_what_is_dropped(call, twin_seed_iv: Path, twin_deap: Path) -> None:
    shown = call("trials", "SEED-IV", twin_seed_iv, "--classes", "valence3-no-fear")
    assert shown.code == 0
    n = len(af.open_corpus("SEED-IV", twin_seed_iv).trials)
    assert f"dropped, 'fear' left out by the scheme: {n // 4}" in shown.out
    rows = call("trials", "SEED-IV", twin_seed_iv, "--classes", "valence3", "--json").json()
    expected = {"sad": "negative", "fear": "negative", "neutral": "neutral", "happy": "positive"}
    assert all(row["class"] == expected[row["emotion"]] for row in rows)
    words = ["trials", "DEAP", twin_deap, "--json", "--classes"]
    rows = call(*words, "valence2(threshold=4.5, margin=0.5)").json()
    for row in rows:
        rating = row["rating_valence"]
        side = "positive" if rating > 4.5 else "negative"
        assert row["class"] == (None if abs(rating - 4.5) <= 0.5 else side)
    wrong = call(*words, "emotion4")
    assert wrong.code == 1
    assert "DEAP can fill valence2, arousal2, dominance2, quadrant4" in wrong.err


def test_twin_writes_what_the_readers_read(call, tmp_path: Path) -> None:
    words = ["twin", "SEED-IV", tmp_path / "t", "--subjects", 1, "--sessions", 1]
    words += ["--trial-seconds", 5, "--form", "features", "--seed", 5]
    result = call(*words)
    assert result.code == 0
    assert "no person's data" in result.out
    assert result.err.splitlines()[-1].startswith("twin of SEED-IV: ")
    corpus = af.open_corpus("SEED-IV", tmp_path / "t")
    assert corpus.simulated
    assert corpus.form == "features"
    assert len(corpus.trials) == 24
    # the same words again change nothing; other words are refused with what differs
    assert call(*words, "--quiet").err == ""
    other = call(*words[:-1], 6, "--setting", "null", "--quiet")
    assert other.code == 1
    assert "seed: found 5, asked 6" in other.err
    assert "effect: found 1.0, asked 0.0" in other.err
    assert "mains_uv" not in other.err


def test_twin_refuses_a_folder_with_other_files(call, tmp_path: Path) -> None:
    (tmp_path / "s01.bdf").write_text("a person's data")
    result = call("twin", "DEAP", tmp_path, "--size", "tiny", "--quiet")
    assert result.code == 1
    assert "never mixed" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["s01.bdf"]


def test_prepare_store_verify_clean(call, tmp_path: Path, twin_seed: Path) -> None:
    store = tmp_path / "store"
    missing = call("store", store)
    assert missing.code == 1
    assert "affectrum prepare" in missing.err

    made = call("prepare", "SEED", twin_seed, "--recipe", "de62", "--store", store)
    assert made.code == 0
    assert "(62, 5) from 45 trials" in made.out
    assert "(SIMULATED)" in made.out
    assert "needs about" in made.err
    assert "prepare SEED: 45 of 45" in made.err
    again = call("prepare", "SEED", twin_seed, "--recipe", "de62", "--store", store, "--quiet")
    assert again.out == made.out
    assert again.err == ""
    call("prepare", "SEED", twin_seed, "--recipe", "de32", "--store", store, "--quiet")

    entries = call("store", store, "--json").json()
    assert {entry["recipe"] for entry in entries} == {"de62", "de32"}
    assert all(entry["state"] == "complete" and entry["simulated"] for entry in entries)
    shown = call("store", store).out
    assert "2 entries" in shown
    assert "SIMULATED" in shown

    assert call("store", store, "--verify").out == "Every entry is as it was written.\n"
    assert call("store", store, "--verify", "--json").json() == {"problems": []}
    key = next(entry["key"] for entry in entries if entry["recipe"] == "de62")
    folder = Path(next(entry["path"] for entry in entries if entry["recipe"] == "de62"))
    data = bytearray((folder / "x.npy").read_bytes())
    data[-1] ^= 1
    (folder / "x.npy").write_bytes(data)
    damaged = call("store", store, "--verify")
    assert damaged.code == 1
    assert "x.npy" in damaged.out
    assert call("store", store, "--verify", "--key", key[:6]).code == 1
    unknown = call("store", store, "--verify", "--key", "zz")
    assert unknown.code == 1
    assert "'zz'" in unknown.err

    would = call("store", store, "--clean", "--recipe", "de62", "--dry-run")
    assert "would be removed" in would.out
    assert len(call("store", store, "--json").json()) == 2
    removed = call("store", store, "--clean", "--key", key[:8])
    assert "removed" in removed.out
    assert "1 entry" in removed.out
    assert [entry["recipe"] for entry in call("store", store, "--json").json()] == ["de32"]
    assert "nothing was removed" in call("store", store, "--clean", "--corpus", "DEAP").out
    assert call("store", store, "--clean", "--corpus", "seed", "--json").json()[0]["recipe"]
    assert "is empty" in call("store", store).out
    assert call("store", store, "--json").json() == []


@pytest.mark.parametrize(
    "words",
    [["--dry-run"], ["--corpus", "SEED"], ["--key", "ab"], ["--verify", "--clean"]],
)
def test_store_options_that_make_no_sense_together(call, tmp_path: Path, words) -> None:
    result = call("store", tmp_path, *words)
    assert result.code == 1
    assert words[0] in result.err


def test_prepare_with_a_recipe_of_ones_own(call, tmp_path: Path, twin_deap: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("name: mine\nelectrodes: [F3, F4]\nbands: {alpha: [8, 13]}\nwindow_s: 0.5\n")
    result = call("prepare", "DEAP", twin_deap, "--recipe", recipe, "--store", tmp_path / "s")
    assert result.code == 0
    assert "(2, 1) from 120 trials" in result.out
    for fault, told in (("electrodes: [F3, Nose]", "Nose"), ("windows_s: 0.5", "'window_s'")):
        recipe.write_text(f"name: mine\n{fault}\n")
        wrong = call("prepare", "DEAP", twin_deap, "--recipe", recipe, "--store", tmp_path / "s")
        assert wrong.code == 1
        assert str(recipe) in wrong.err
        assert told in wrong.err


def test_prepare_refuses_a_full_disk_before_it_begins(
    call, tmp_path: Path, twin_deap: Path, monkeypatch
) -> None:
    usage = type("usage", (), {"free": 10, "total": 20, "used": 10})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    result = call("prepare", "DEAP", twin_deap, "--store", tmp_path / "s")
    assert result.code == 1
    assert "only 10 B are free" in result.err
    assert not (tmp_path / "s").exists() or not any((tmp_path / "s").rglob("*.npy"))


def test_methods(call) -> None:
    shown = call("methods")
    listed = call("methods", "--json").json()
    assert [info["name"] for info in listed] == list(method_names())
    for name in method_names():
        assert name in shown.out
        one = call("methods", name)
        assert one.code == 0
        for parameter in call("methods", name, "--json").json()["parameters"]:
            assert parameter["name"] in one.out
            assert parameter["description"], (name, parameter["name"])
    wrong = call("methods", "smm")
    assert wrong.code == 1
    assert "scmm" in wrong.err


def test_protocols(call) -> None:
    told = call("protocols", "--json").json()
    shown = call("protocols").out
    names = [info["id"] for info in told["protocols"]]
    for name in ("within-subject", "leave-one-subject-out", "cross-corpus/calibrated"):
        assert name in names
    for name in [*names, *told["scaling"], *told["selection"]]:
        assert name in shown


def test_doctor(call, monkeypatch) -> None:
    shown = call("doctor")
    assert shown.code == 0
    assert "Everything that is needed is here." in shown.out
    told = call("doctor", "--json").json()
    assert told["missing"] == []
    assert told["affectrum"] == af.__version__
    assert told["devices"][0].startswith("cpu")

    from importlib import metadata

    real = metadata.version

    def version(name: str) -> str:
        if name == "pyxdf":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    lacking = call("doctor")
    assert lacking.code == 1
    assert "Missing: pyxdf" in lacking.out
    assert call("doctor", "--json").json()["missing"] == ["pyxdf"]
