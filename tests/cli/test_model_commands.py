"""pretrain, finetune, predict: from a plan to a reading of a recording; and the demo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import affectrum as af

MUSE = "TP9,AF7,AF8,TP10"


@pytest.fixture(scope="module")
def models(workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pre-trained weights, the model made from them, and a headset's."""
    from affectrum.cli.app import main

    top = tmp_path_factory.mktemp("models")
    plan = str(workspace.plan)
    assert main(["pretrain", "scmm", plan, "--out", str(top / "weights"), "--quiet"]) == 0
    words = ["finetune", "scmm", plan, "--out", str(top / "scmm"), "--quiet"]
    assert main([*words, "--pretrained", str(top / "weights"), "--run", str(workspace.run)]) == 0
    words = ["finetune", "logistic", plan, "--out", str(top / "headset"), "--quiet"]
    words += ["--electrodes", MUSE, "--run", str(workspace.run)]
    assert main(words) == 0
    return top


def noise(n_channels: int, sfreq: float, seconds: float) -> np.ndarray:
    """Volts with about the spectrum and size of EEG."""
    n = round(sfreq * seconds)
    spectrum = np.fft.rfft(np.random.default_rng(3).standard_normal((n_channels, n)), axis=1)
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(n, 1 / sfreq), 1.0))
    x = np.fft.irfft(spectrum, n, axis=1)
    return x * (10e-6 / x.std())


@pytest.fixture(scope="module")
def fif(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import mne

    from affectrum.harmonise import electrode_set

    names = list(electrode_set("DEAP32"))
    info = mne.create_info(names, 128.0, "eeg")
    raw = mne.io.RawArray(noise(len(names), 128.0, 25.0), info, verbose="ERROR")
    path = tmp_path_factory.mktemp("recording") / "rest_raw.fif"
    raw.save(path, verbose="ERROR")
    return path


@pytest.fixture(scope="module")
def muse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = MUSE.split(",")
    frame = pd.DataFrame(1e6 * noise(len(names), 256.0, 20.0).T, columns=names)
    frame.insert(0, "timestamps", 1_500_000_000.0 + np.arange(len(frame)) / 256.0)
    path = tmp_path_factory.mktemp("recording") / "muse.csv"
    frame.to_csv(path, index=False)
    return path


def test_what_a_bundle_says_about_itself(models: Path, workspace) -> None:
    bundle = af.load_bundle(models / "scmm")
    assert bundle.classes == ("negative", "neutral", "positive")
    assert len(bundle.channels) == 32
    card = (models / "scmm" / "README.md").read_text()
    assert "SIMULATED" in card
    assert str(workspace.plan.parent) not in card
    # The plan has no zero-shot score of SCMM, and a calibrated one would flatter.
    assert "Score on unseen people: not available" in card
    # That of other electrodes is not this model's score either.
    assert "not available" in (models / "headset" / "README.md").read_text()


def test_the_zero_shot_score_goes_on_the_card(call, workspace, tmp_path: Path) -> None:
    result = call(
        "finetune", "logistic", workspace.plan, "--out", tmp_path / "m", "--run", workspace.run
    )
    assert result.code == 0
    assert f"affectrum predict RECORDING --model {tmp_path / 'm'}" in result.out
    rows = call("run", workspace.plan, "--out", workspace.run, "--quiet", "--json").json()
    (row,) = (r for r in rows if r["protocol"].endswith("zero-shot") and "logistic" in r["method"])
    card = (tmp_path / "m" / "README.md").read_text()
    assert f"balanced accuracy {row['balanced_accuracy']:.3f} under {row['protocol']}" in card


def test_predict_on_a_fif(call, models: Path, fif: Path, tmp_path: Path) -> None:
    base = tmp_path / "out" / "reading"
    result = call("predict", fif, "--model", models / "scmm", "--out", base)
    assert result.code == 0
    assert "rest_raw.fif" in result.out
    assert "SIMULATED data" in result.out
    table = pd.read_csv(f"{base}.csv", comment="#")
    assert len(table) == 25
    shares = table[["p_negative", "p_neutral", "p_positive"]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-3)
    assert table["arousal"].isna().all()  # a model of valence classes can't tell it
    assert Path(f"{base}.png").read_bytes().startswith(b"\x89PNG")


def test_predict_on_a_headset_with_four_electrodes(
    call, models: Path, muse: Path, tmp_path: Path, monkeypatch
) -> None:
    assert af.load_bundle(models / "headset").channels == ("TP9", "AF7", "AF8", "TP10")
    monkeypatch.chdir(tmp_path)
    result = call("predict", muse, "--model", models / "headset", "--json", "--no-figure")
    assert result.code == 0
    told = result.json()
    assert told["files"] == ["muse-affect.csv"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["muse-affect.csv"]
    assert told["simulated_training_data"] is True
    assert told["coverage"] == 1.0
    assert told["arousal"] is None
    assert told["n_windows"] == 20


def test_too_few_electrodes_are_refused_with_what_would_do(
    call, models: Path, muse: Path, tmp_path: Path
) -> None:
    result = call("predict", muse, "--model", models / "scmm", "--out", tmp_path / "x")
    assert result.code == 1
    assert "electrodes" in result.err
    assert "--electrodes" in result.err
    assert list(tmp_path.iterdir()) == []


def test_predict_says_what_is_wrong_with_a_file(call, models: Path, tmp_path: Path) -> None:
    model = models / "headset"
    summary = tmp_path / "summary.csv"
    summary.write_text("date,Alpha_TP9,Beta_TP9\n1,2,3\n")
    (tmp_path / "x.edf").write_bytes(b"no")
    for path in (tmp_path / "nope.edf", summary, tmp_path / "x.edf", tmp_path):
        result = call("predict", path, "--model", model)
        assert result.code == 1, path
        assert path.name in result.err
    wrong = call("predict", tmp_path / "x.edf", "--model", tmp_path)
    assert wrong.code == 1
    assert "not a bundle" in wrong.err


def test_a_taken_place_is_refused_before_training(call, workspace, models: Path) -> None:
    for command, name in (("pretrain", "weights"), ("finetune", "scmm")):
        result = call(command, "scmm", workspace.plan, "--out", models / name)
        assert result.code == 1
        assert "--overwrite" in result.err
        assert f"{command} scmm: " not in result.err  # no step of training was shown


def test_weights_of_another_method_or_plan_are_refused(
    call, workspace, models: Path, tmp_path: Path
) -> None:
    words = ["finetune", "svm", workspace.plan, "--out", tmp_path / "m"]
    result = call(*words, "--pretrained", models / "weights")
    assert result.code == 1
    assert "'scmm'" in result.err
    words[1] = "scmm"
    other = call(*words, "--pretrained", models / "weights", "--electrodes", MUSE)
    assert other.code == 1
    assert not (tmp_path / "m").exists()


def test_faults_of_the_words(call, workspace, tmp_path: Path) -> None:
    plan, out = workspace.plan, tmp_path / "m"
    third = call("finetune", "svm", plan, "--out", out, "--task", 3)
    assert third.code == 1
    assert "tasks 1 to 2" in third.err
    names = call("finetune", "svm", plan, "--out", out, "--electrodes", "TP9,Nose")
    assert names.code == 1
    assert "Nose" in names.err
    unknown = call("finetune", "svmm", plan, "--out", out)
    assert unknown.code == 1
    assert "Did you mean 'svm'" in unknown.err
    plain = call("pretrain", "mlp", plan, "--out", out)
    assert plain.code == 1
    assert "affectrum finetune" in plain.err
    assert not out.exists()


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    """The whole demo at its smallest, as a user calls it, twice."""
    command = [sys.executable, "-m", "affectrum", "demo", "--size", "tiny", "--out", "demo"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for step in range(1, 6):
        assert f"{step} of 5: " in done.stderr
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "Simulated data." in page
    assert page.count("<svg") > 10
    assert "All of it is SIMULATED" in done.stdout
    assert af.load_bundle(tmp_path / "demo" / "model").classes
    again = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "0 cells computed" in again.stderr
