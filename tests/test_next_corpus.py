"""The guide's corpus: its two files are put beside the others of a copy, and used as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import affectrum

ROOT = Path(__file__).resolve().parents[1]
CODE = re.compile(r"^```python\n# (src/\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    text = (ROOT / "docs" / "next-corpus.md").read_text(encoding="utf-8")
    return {match[1]: match[2] for match in CODE.finditer(text)}


@pytest.fixture(scope="module")
def checkout(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("checkout")
    shutil.copytree(
        Path(affectrum.__file__).parent,
        top / "src" / "affectrum",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name, text in files.items():
        assert not (top / name).exists()
        (top / name).write_text(text, encoding="utf-8")
    return top


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("corpus") / "Example-Lab"
    (top / "signals").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["person,clip,valence,arousal"]
    for person in (1, 2):
        clips = {f"clip{clip}": rng.normal(0, 20, (8, 250 * (2 + clip))) for clip in range(1, 5)}
        clips["clip2"][5] += 1000 * person  # so that the electrodes' and people's order shows
        savemat(top / "signals" / f"P{person:02d}.mat", clips)
        lines += [f"{person},{clip},{clip + person},{10 - clip - person}" for clip in range(1, 5)]
    (top / "ratings.csv").write_text("\n".join(lines) + "\n")
    return top


def run(checkout: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout / "src"),
        "AFFECTRUM_CACHE": str(checkout / "cache"),
    }
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, env=environment
    )


def test_a_corpus_is_two_files_of_under_150_lines(files: dict[str, str]) -> None:
    assert list(files) == [
        "src/affectrum/catalog/example_lab.py",
        "src/affectrum/corpora/example_lab.py",
    ]
    assert sum(len(text.splitlines()) for text in files.values()) < 150


def test_they_keep_the_rules_of_the_house(checkout: Path, files: dict[str, str]) -> None:
    """The linter and the formatter have nothing to say."""
    if shutil.which("ruff") is None:
        pytest.skip("ruff is not installed")
    config = ROOT / "pyproject.toml"
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            ["ruff", *command, "--config", str(config), *files],
            cwd=checkout,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_the_commands_know_it(checkout: Path, folder: Path) -> None:
    listed = run(checkout, "-m", "affectrum", "corpora", "example_lab")
    assert "a corpus that does not exist" in listed.stdout, listed.stderr
    checked = run(checkout, "-m", "affectrum", "check", folder, "--deep", "--json")
    report = json.loads(checked.stdout)
    assert checked.returncode == 0, report
    assert report["corpus"] == "Example-Lab"
    assert report["problems"] == []
    assert report["found"]["trials"] == 8
    made = run(
        checkout, "-m", "affectrum", "prepare", "Example-Lab", folder, "--recipe",
        _recipe(checkout), "--store", checkout / "store", "--quiet",
    )  # fmt: skip
    assert "from 8 trials" in made.stdout, made.stderr


def _recipe(checkout: Path) -> Path:
    place = checkout / "recipe.yaml"
    place.write_text("name: mine\nelectrodes: [F3, F4]\nbands: {alpha: [8, 13]}\nwindow_s: 1.0\n")
    return place


SCRIPT = """
import sys
import numpy as np
import affectrum as af
corpus = af.open_corpus("Example-Lab", sys.argv[1])
trials = corpus.trials
assert trials["emotion"].tolist() == ["happy", "fear", "sad", "happy"] * 2
assert trials["rating_valence"].tolist() == [2, 3, 4, 5, 3, 4, 5, 6]
assert trials["duration_s"].tolist() == [3, 4, 5, 6] * 2
for person in (1, 2):
    x = corpus.read(trials.iloc[4 * person - 3])
    assert x.shape == (8, 1000)
    assert np.allclose(x.mean(axis=1)[5], person * 1e-3, rtol=0.01)
    assert np.abs(np.delete(x.mean(axis=1), 5)).max() < 1e-5
assert af.corpora.recognise(sys.argv[1]) == ("Example-Lab",)
assert af.affect.schemes_of("Example-Lab") == ("valence2", "arousal2", "quadrant4")
"""


def test_what_is_read_is_what_stands_in_the_files(checkout: Path, folder: Path) -> None:
    done = run(checkout, "-c", SCRIPT, folder)
    assert done.returncode == 0, done.stderr


def test_faults_are_explained(checkout: Path, folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "x")
    victim = broken / "signals" / "P02.mat"
    victim.write_bytes(victim.read_bytes()[:3000])
    (broken / "ratings.csv").unlink()
    checked = run(checkout, "-m", "affectrum", "check", "Example-Lab", broken)
    assert checked.returncode == 1
    assert "P02.mat" in checked.stdout
    assert "ratings are missing" in checked.stdout
