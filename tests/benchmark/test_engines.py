from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from benchmark_helpers import LOG, make_plan

from affectrum.benchmark import load_record, run_plan
from affectrum.benchmark.engines import ENGINES, make_engine
from affectrum.benchmark.engines.devices import device_of, environment, visible_devices
from affectrum.benchmark.shared import SharedPretraining
from affectrum.benchmark.work import limit_threads
from affectrum.errors import ConfigError, StoreError
from affectrum.store.locks import lock_path, try_lock

HERE = Path(__file__).parent
# Registers the methods of `benchmark_helpers` in a process that imports it.
IMPORTS = ("benchmark_engine_methods",)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """Spawned processes get this process's path, others the environment's."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *sys.path]))


def contents(run):
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.glob("cells/[!.]*/*.npz"))
    }


def facts(run):
    """Everything of the cells' manifests but durations."""
    out = {}
    for cell in load_record(run):
        meta = json.loads(json.dumps(cell.meta))
        meta.pop("timing")
        out[cell.digest] = meta
    return out


@pytest.fixture
def calm(tmp_path, parts):
    """One process, one thread."""
    plan = make_plan(methods=MIXED, seeds=[0, 1])
    run_plan(plan, tmp_path / "calm", windows=parts, threads=1)
    return plan, tmp_path / "calm"


# A torch network, a linear model and a method that pre-trains.
MIXED = [
    "test-centroid",
    {"name": "svm", "arm": "calibration"},
    {"name": "mlp", "overrides": {"epochs": 2}},
]


# ------------------------------------------------------------------- the same results everywhere


def test_processes_give_the_same_bytes(tmp_path, parts, calm):
    plan, expected = calm
    report = run_plan(plan, tmp_path / "two", windows=parts, workers=2, imports=IMPORTS)
    assert report.ok
    assert len(report.computed) == 6
    assert contents(tmp_path / "two") == contents(expected)
    assert facts(tmp_path / "two") == facts(expected)
    # one model for all cells that share it, whichever process came first
    assert report.pretrained == 1
    # a resumed run starts no process for nothing
    again = run_plan(plan, tmp_path / "two", windows=parts, workers=2)
    assert (len(again.kept), len(again.computed)) == (6, 0)


@pytest.mark.slow
def test_dask_gives_the_same_bytes(tmp_path, parts, calm):
    plan, expected = calm
    report = run_plan(
        plan, tmp_path / "dask", windows=parts, engine="dask", workers=2, imports=IMPORTS
    )
    assert report.ok, report.failed
    assert len(report.computed) == 6
    assert contents(tmp_path / "dask") == contents(expected)
    assert facts(tmp_path / "dask") == facts(expected)


@pytest.mark.slow
def test_slurm_jobs_give_the_same_bytes(tmp_path, parts, calm):
    plan, expected = calm
    report = run_plan(
        plan,
        tmp_path / "slurm",
        windows=parts,
        engine="slurm",
        workers=2,
        imports=IMPORTS,
        options={"cluster": "local", "poll_s": 0.2, "timeout_min": 5},
    )
    assert report.ok, report.failed
    assert len(report.computed) == 6
    assert contents(tmp_path / "slurm") == contents(expected)
    assert facts(tmp_path / "slurm") == facts(expected)


@pytest.mark.slow
def test_slurm_jobs_tell_refusals(tmp_path, parts):
    plan = make_plan(methods=["test-needs-validation", "test-centroid"], seeds=[0])
    report = run_plan(
        plan,
        tmp_path,
        windows=parts,
        engine="slurm",
        imports=IMPORTS,
        options={"cluster": "local", "poll_s": 0.2},
    )
    assert [cell.method.name for cell, _ in report.refused] == ["test-needs-validation"]
    assert "validation" in report.refused[0][1]
    assert len(report.computed) == 1


def test_a_given_number_of_threads_is_used_and_given_back():
    import torch

    before = torch.get_num_threads()
    with limit_threads(None):
        assert torch.get_num_threads() == before
    with limit_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


# -------------------------------------------------------------------------- several processes


def test_refusals_and_faults_come_back_from_processes(tmp_path, parts):
    plan = make_plan(
        methods=["test-needs-validation", "test-centroid", "test-broken"],
        tasks=[
            {"source": "other", "target": "SEED", "calibration_trials": 9},
            {"target": "SEED", "protocol": "cross-session"},
        ],
        seeds=[0],
    )
    report = run_plan(plan, tmp_path, windows=parts, workers=2, imports=IMPORTS)
    assert [cell.method.name for cell, _ in report.refused] == ["test-needs-validation"]
    failed = {(cell.method.name, cell.task.protocol): why for cell, why in report.failed}
    assert "ZeroDivisionError" in failed["test-broken", "cross-corpus/calibrated"]
    assert "benchmark_engine_methods.py, line" in failed["test-broken", "cross-corpus/calibrated"]
    assert len(failed) == 4
    assert len(report.computed) == 1
    # in this process it is told in the same words
    alone = run_plan(plan, tmp_path / "alone", windows=parts)
    assert sorted(why for _, why in alone.failed) == sorted(failed.values())


def test_a_process_that_dies_takes_only_its_cell(tmp_path, parts):
    plan = make_plan(methods=["test-centroid", "test-deadly"], seeds=[0, 1])
    report = run_plan(plan, tmp_path, windows=parts, workers=2, imports=IMPORTS)
    assert [cell.method.name for cell, _ in report.failed] == ["test-deadly"] * 2
    assert "signal 9" in report.failed[0][1]
    assert "fewer workers" in report.failed[0][1]
    assert len(report.computed) == 2


def test_progress_from_several_processes(tmp_path, parts):
    events = []
    plan = make_plan(seeds=[0, 1, 2, 3])
    run_plan(plan, tmp_path, windows=parts, workers=2, imports=IMPORTS, progress=events.append)
    assert {event.worker for event in events if event.kind == "fold"} == {0, 1}
    done = [event.cells_done for event in events]
    assert done == sorted(done)
    assert events[-1].kind == "end"
    assert events[-1].cells_done == events[-1].cells_total == 4
    assert all(0 <= event.cells_begun <= 2 for event in events)
    # cells and parts of cells add up to work that never goes back
    work = [event.cells_done + 0.99 * event.cells_begun for event in events]
    assert work == sorted(work)
    assert {event.seed for event in events if event.kind == "cell-done"} == {0, 1, 2, 3}


def test_ctrl_c_ends_the_processes(tmp_path, parts):
    def interrupt(event):
        if event.kind == "fold":
            raise KeyboardInterrupt

    plan = make_plan(
        methods=[{"name": "test-centroid", "overrides": {"pause_s": 5.0}}], seeds=[0, 1]
    )
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, tmp_path, windows=parts, workers=2, imports=IMPORTS, progress=interrupt)
    assert time.monotonic() - began < 30
    import multiprocessing

    assert not [p for p in multiprocessing.active_children() if p.name.startswith("affectrum")]


def test_what_can_not_be_sent_is_named(tmp_path, plan, parts):
    with pytest.raises(ConfigError, match="one that can be imported"):
        run_plan(plan, tmp_path, windows=lambda corpus, recipe: parts[corpus], workers=2)
    with pytest.raises(StoreError, match="could not start.*no_such_module"):
        run_plan(plan, tmp_path, windows=parts, workers=2, imports=["no_such_module"])


def test_an_unwritable_folder_stops_all_processes(tmp_path, plan, parts, monkeypatch):
    (tmp_path / "cells").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="can't be written"):
        run_plan(plan, tmp_path, windows=parts, workers=2, imports=IMPORTS)


# --------------------------------------------------------------------------- shared folders


def test_a_cell_that_another_runner_computes_comes_last(tmp_path, parts):
    """The other runner holds the first cell's lock until the second one is done."""
    plan = make_plan(seeds=[0, 1])
    order = []
    first = run_plan(plan, tmp_path / "x", windows=parts).cells[0]
    held = try_lock(lock_path(tmp_path / "run", first.digest))
    assert held is not None

    def watch(event):
        if event.kind == "cell-done":
            order.append(event.seed)
            held.close()
        if event.stage.startswith("waiting for process"):
            order.append("waiting")

    report = run_plan(plan, tmp_path / "run", windows=parts, progress=watch)
    assert order[:1] == [1]
    assert order[-1] == 0
    assert len(report.computed) == 2
    assert not list((tmp_path / "run" / ".locks").iterdir())


CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import benchmark_engine_methods
from benchmark_helpers import make_parts, make_plan
from affectrum.benchmark import run_plan

if __name__ == "__main__":
    plan = make_plan(seeds=list(range(int(sys.argv[3]))), methods=[
        {"name": "test-centroid", "overrides": {"pause_s": float(sys.argv[4])}}])
    report = run_plan(plan, sys.argv[2], windows=make_parts(), workers=int(sys.argv[5]),
                      threads=1, imports=["benchmark_engine_methods"])
    print(len(report.kept), len(report.computed), report.pretrained)
"""


def child(tmp_path, out, n_seeds, pause_s, workers=1):
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    command = [sys.executable, str(script), str(HERE), str(out)]
    return subprocess.Popen(
        [*command, str(n_seeds), str(pause_s), str(workers)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_runners_share_the_cells_of_a_folder(tmp_path):
    both = [child(tmp_path, tmp_path / "run", 6, 0.05) for _ in range(2)]
    found = []
    for runner in both:
        out, err = runner.communicate(timeout=120)
        assert runner.returncode == 0, err
        found.append([int(number) for number in out.split()])
    assert [kept + computed for kept, computed, _ in found] == [6, 6]
    assert sum(computed for _, computed, _ in found) == 6  # nothing twice
    assert sum(pretrained for _, _, pretrained in found) == 1


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import benchmark_engine_methods
from benchmark_helpers import make_parts, make_plan
from affectrum.benchmark import expand, load_record, run_plan
from affectrum.benchmark.inputs import PlanWindows

def cells():
    return {p.parent.name: p.stat().st_mtime_ns for p in out.glob("cells/[!.]*/cell.json")}

out, parts, moments = Path(sys.argv[2]), make_parts(), random.Random(0)
methods = [{"name": "test-centroid", "overrides": {"pause_s": 0.01}}]
plan = make_plan(seeds=list(range(40)), methods=methods)
expand(plan, PlanWindows(plan, parts).fingerprints())
done, kills = {}, 0
while kills < 20:
    # A fork has everything imported: the kill comes in the middle of the work.
    child = os.fork()
    if not child:
        run_plan(plan, out, windows=parts, threads=1)
        os._exit(0)
    time.sleep(moments.uniform(0.05, 0.4))
    os.kill(child, signal.SIGKILL)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    kills += killed
    now = cells()
    assert {name: now.get(name) for name in done} == done, "a finished cell was touched"
    assert len(load_record(out)) == len(now) if now else True
    done = now
    if not killed:
        break
report = run_plan(plan, out, windows=parts, threads=1)
assert {name: cells()[name] for name in done} == done, "a finished cell was computed again"
print(kills, len(report.kept), len(report.computed), len(done))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_at_twenty_random_moments(tmp_path, parts):
    """kill -9 again and again: the same final table, and nothing that was finished is redone."""
    from affectrum.benchmark import score_table

    calm, rough = tmp_path / "calm", tmp_path / "rough"
    methods = [{"name": "test-centroid", "overrides": {"pause_s": 0.01}}]
    plan = make_plan(seeds=list(range(40)), methods=methods)
    run_plan(plan, calm, windows=parts, threads=1)
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(HERE), str(rough)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    kills, kept, computed, finished = map(int, done.stdout.split())
    assert kills >= 10  # a very fast machine is done before the twentieth
    assert kept == finished
    assert kept + computed == 40
    assert contents(rough) == contents(calm)
    tables = [
        score_table(load_record(run)[:5], n_replicates=20, n_permutations=20)
        for run in (calm, rough)
    ]
    assert tables[0].to_csv() == tables[1].to_csv()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_killed_with_its_processes(tmp_path, parts):
    """The parent is killed: its processes end with it, and the next run goes on."""
    run = tmp_path / "run"
    runner = child(tmp_path, run, 12, 0.1, workers=2)
    deadline = time.monotonic() + 90
    while len(list(run.glob("cells/[!.]*/cell.json"))) < 3:
        assert time.monotonic() < deadline
        assert runner.poll() is None
        time.sleep(0.01)
    family = _children(runner.pid)
    assert len(family) >= 2
    runner.send_signal(signal.SIGKILL)
    runner.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in family):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    finished = contents(run)
    assert finished
    methods = [{"name": "test-centroid", "overrides": {"pause_s": 0.1}}]
    plan = make_plan(seeds=list(range(12)), methods=methods)
    report = run_plan(plan, run, windows=parts, threads=1)
    assert len(report.kept) == len(finished) // 2
    assert len(report.kept) + len(report.computed) == 12
    assert {name: data for name, data in contents(run).items() if name in finished} == finished


def _children(pid):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def test_pretraining_waits_for_the_one_that_makes_it(tmp_path, parts):
    """Two objects on one folder, as in two processes: the second takes what the first made."""
    from affectrum.methods import make_method
    from affectrum.protocols import make_folds

    access = make_folds(list(parts.values()), "calibrated", target="SEED", calibration_trials=9)[
        0
    ].access
    method = make_method("test-centroid")
    fingerprint = method.pretrain_fingerprint(access)
    first, second = SharedPretraining(tmp_path), SharedPretraining(tmp_path, device="0")
    from affectrum.benchmark.files import digest_of

    told = []
    held = try_lock(lock_path(tmp_path, digest_of(fingerprint)))
    assert held is not None

    def progress(stage, done, total):
        told.append(stage)
        if stage.startswith("waiting for process"):
            held.close()

    LOG.clear()
    made = first.get(method, access, progress)
    assert told[0].startswith("waiting for process")
    found = second.get(method, access)
    assert LOG.count("pretrain") == 1
    assert (first.computed, first.reused, second.computed, second.reused) == (1, 0, 0, 1)
    np.testing.assert_array_equal(made.arrays["mean"], found.arrays["mean"])


def test_processes_on_one_device_pretrain_in_turn(tmp_path, parts):
    import socket

    from affectrum.benchmark.files import digest_of
    from affectrum.methods import make_method
    from affectrum.protocols import make_folds

    access = make_folds(list(parts.values()), "calibrated", target="SEED", calibration_trials=9)[
        0
    ].access
    held = try_lock(lock_path(tmp_path, digest_of(f"device {socket.gethostname()} 1")))
    assert held is not None
    told = []

    def progress(stage, done, total):
        told.append(stage)
        held.close()

    method = make_method("test-centroid")
    SharedPretraining(tmp_path, device="0").get(method, access, lambda *_: None)
    other = make_method("test-centroid", pause_s=0.0)
    access = make_folds(
        [parts["SEED"], parts["other"]], "calibrated", target="other", calibration_trials=9
    )[0].access
    SharedPretraining(tmp_path, device="1").get(other, access, progress)
    assert told[0].startswith("waiting for process")


# -------------------------------------------------------------------------------- placement


def test_workers_are_placed_in_turn():
    assert [device_of(n, ("0", "1", "2")) for n in range(7)] == list("0120120")
    assert device_of(3, ()) == ""
    assert visible_devices({"CUDA_VISIBLE_DEVICES": " 2, MIG-7 ,"}) == ("2", "MIG-7")
    assert visible_devices({"CUDA_VISIBLE_DEVICES": ""}) == ()
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "-1"}) == ()
    assert environment("3", 2)["CUDA_VISIBLE_DEVICES"] == "3"
    assert environment("3", 2)["OMP_NUM_THREADS"] == "2"
    assert "CUDA_VISIBLE_DEVICES" not in environment("", None)


def test_each_process_sees_its_device_only(tmp_path, parts):
    """Devices that this machine does not have: their names must still arrive."""
    plan = make_plan(methods=["test-where"], seeds=[0, 1, 2, 3])
    report = run_plan(
        plan,
        tmp_path,
        windows=parts,
        workers=2,
        devices=["7", "fake"],
        imports=IMPORTS,
    )
    assert report.ok, report.failed
    seen = {tuple(cell.scores[0].tolist()) for cell in load_record(tmp_path)}
    assert seen == {(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)}
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


# ---------------------------------------------------------------------------------- options


def test_engines_refuse_what_they_do_not_know():
    assert set(ENGINES) == {"local", "dask", "slurm"}
    with pytest.raises(ConfigError, match="Did you mean 'dask'"):
        make_engine("daks")
    with pytest.raises(ConfigError, match="'workers' must be at least 1; received 0"):
        make_engine("local", workers=0)
    with pytest.raises(ConfigError, match="'local' has no options; received partition"):
        make_engine("local", options={"partition": "x"})
    with pytest.raises(ConfigError, match=r"no option 'schedular'. Did you mean 'scheduler'"):
        make_engine("dask", options={"schedular": "x"})


@pytest.mark.parametrize(
    ("engine", "library", "extra"),
    [("dask", "distributed", "dask"), ("slurm", "submitit", "slurm")],
)
def test_a_missing_extra_is_named_with_its_install_line(monkeypatch, engine, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"pip install 'affectrum\[{extra}\]'"):
        make_engine(engine)


def test_slurm_that_is_not_here_is_said_so(tmp_path, parts, plan, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="Slurm jobs can't be sent"):
        run_plan(plan, tmp_path, windows=parts, engine="slurm")
