"""Exit codes, help, and what happens when something goes wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from affectrum import __version__
from affectrum.cli import app as app_module
from affectrum.cli.app import main
from affectrum.errors import FolderError

COMMANDS = [name for entries in app_module._COMMANDS.values() for name, _, _ in entries]


def start(*words: object, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "affectrum", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_every_command_of_the_product_is_there() -> None:
    wanted = ["demo", "corpora", "check", "trials", "twin", "download", "prepare", "store"]
    wanted += [
        "methods",
        "protocols",
        "plan",
        "run",
        "report",
        "audit",
        "pretrain",
        "finetune",
        "predict",
        "reproduce",
        "recovery",
        "waterfall",
    ]
    assert sorted(COMMANDS) == sorted([*wanted, "doctor"])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str, call) -> None:
    result = call(command, "--help")
    assert result.code == 0
    assert f"affectrum {command}" in result.out
    described = next(h for e in app_module._COMMANDS.values() for n, _, h in e if n == command)
    assert described.split(",")[0].split(":")[0].split()[0].rstrip(".") in result.out
    # every option has words beside its name, not only a type
    options = re.findall(r"^│ +\*? *(--[a-z-]+)[^│]*│", result.out, re.M)
    assert options, result.out


def test_main_help_lists_the_commands_in_the_order_of_use(call) -> None:
    result = call("--help")
    assert result.code == 0
    listed = re.findall(r"^│ ([a-z]+) {2,}", result.out, re.M)
    assert listed == COMMANDS
    assert call().out == result.out
    assert call("--version").out.strip() == __version__


def test_help_of_the_program_and_of_a_command_imports_nothing_heavy() -> None:
    code = """
import sys
from affectrum.cli.app import main
main(["--help"])
heavy = {"torch", "mne", "matplotlib", "sklearn", "pandas", "scipy", "numpy", "pydantic"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
main(["run", "--help"])
heavy -= {"numpy", "pydantic"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_script_is_declared() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["affectrum"].partition(":")
    assert module == app_module.__name__
    code = f"import sys; from {module} import {name}; sys.argv[1:] = ['nonsense']; {name}()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Unknown command" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["check"],
        ["trials", "SEED"],
        ["check", "SEED", "folder", "more"],
        ["check", "SEED", "folder", "--nope"],
        ["twin", "SEED", "folder", "--trial-seconds", "long"],
        ["twin", "SEED", "folder", "--size", "huge"],
        ["run", "plan.yaml"],
        ["predict", "x.edf"],
    ],
)
def test_words_without_sense_give_2_and_an_explanation(words: list[str], call) -> None:
    result = call(*words)
    assert result.code == 2
    assert result.out == ""
    assert "Error" in result.err


def test_our_errors_give_1_and_no_traceback(tmp_path: Path) -> None:
    process = start("trials", "SEED", tmp_path / "nowhere")
    out, err = process.communicate()
    assert process.returncode == 1
    assert out == ""
    assert err.startswith("affectrum: ")
    assert "nowhere" in err
    assert "Traceback" not in err


def test_a_traceback_on_request(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AFFECTRUM_TRACEBACK", "1")
    with pytest.raises(FolderError):
        main(["trials", "SEED", str(tmp_path / "nowhere")])


@pytest.mark.parametrize(
    "words",
    [
        ["twin", "SEED", "FILE/x", "--size", "tiny", "--quiet"],
        ["demo", "--out", "FILE/x", "--size", "tiny", "--quiet"],
        ["run", "PLAN", "--out", "FILE/x", "--quiet"],
        ["report", "RUN", "--out", "FILE/x.html"],
        ["finetune", "svm", "PLAN", "--out", "FILE/x", "--quiet"],
        ["prepare", "SEED", "SEED", "--store", "FILE/x", "--quiet"],
    ],
)
def test_a_place_that_can_not_be_written_is_named(
    words: list[str], call, tmp_path: Path, workspace, twin_seed: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    names = {"PLAN": workspace.plan, "RUN": workspace.run}
    command, *rest = (str(names.get(w, w)).replace("FILE", str(tmp_path / "file")) for w in words)
    if command == "prepare":
        rest[1] = str(twin_seed)
    result = call(command, *rest)
    assert result.code == 1
    assert result.err.startswith("affectrum: ")
    assert str(tmp_path / "file") in result.err


def test_a_fault_of_ours_is_not_hidden(monkeypatch) -> None:
    from affectrum import methods

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(methods, "method_names", broken)
    with pytest.raises(ZeroDivisionError):
        main(["methods"])


def test_ctrl_c_gives_130_and_the_next_call_goes_on(tmp_path: Path, call) -> None:
    words = ["twin", "SEED-IV", tmp_path / "twin", "--subjects", "4", "--sessions", "2"]
    words += ["--trial-seconds", "4"]
    process = start(*words)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first.startswith("twin of SEED-IV: ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "run the same command to go on" in err
    assert "Traceback" not in err
    assert not list((tmp_path / "twin").rglob("*.tmp"))
    assert len(list((tmp_path / "twin").rglob("*.mat"))) < 8
    assert call(*words, "--quiet").code == 0
    assert len(list((tmp_path / "twin").rglob("*.mat"))) == 8


def test_a_reader_that_goes_away_is_no_fault(twin_seed: Path) -> None:
    with start("trials", "SEED", twin_seed, "--csv") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a Linux device")
def test_an_output_that_is_full_gives_1(twin_seed: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "affectrum", "trials", "SEED", str(twin_seed), "--csv"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_help_answers_within_its_time() -> None:
    """0.4 s on an idle core; the best of several, because other tests share the machine."""
    times = []
    for _ in range(7):
        before = os.times()
        began = time.perf_counter()
        assert start("--help").communicate()[0]
        after = os.times()
        used = after.children_user + after.children_system
        used -= before.children_user + before.children_system
        times.append(min(time.perf_counter() - began, used))
    assert min(times) < 0.4
