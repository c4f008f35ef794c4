"""How long `prepare` takes for one full-size SEED session, beside only reading its file.

Writes one session of a full-size SEED twin (15 trials of 185 to 265 s, 62 electrodes, compressed
.mat), then measures, each in a process of its own: reading the file whole with SciPy, reading it
trial by trial, and `prepare`. Aims: prepare at most 1.3 times the reading, at most 1.5 GB.

    python benchmarks/bench_prepare.py [--recipe de62] [--folder DIR] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

AIM_RATIO = 1.3
AIM_BYTES = 1.5e9


def peak_bytes() -> int:
    """Return the largest memory this process had (Linux gives kB, macOS bytes)."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def read_whole(folder: Path, recipe: str) -> None:
    from scipy.io import loadmat

    file = next(folder.rglob("1_*.mat"))
    loadmat(file)


def read_by_trial(folder: Path, recipe: str) -> None:
    from affectrum.corpora import open_corpus

    for _ in open_corpus("SEED", folder).iter_trials():
        pass


def prepare(folder: Path, recipe: str) -> None:
    from affectrum.corpora import open_corpus
    from affectrum.store import Store

    with tempfile.TemporaryDirectory(dir=folder.parent) as store:
        Store(store).prepare(open_corpus("SEED", folder), recipe)


TASKS: dict[str, Callable[[Path, str], None]] = {
    "read_whole": read_whole,
    "read_by_trial": read_by_trial,
    "prepare": prepare,
}


def measure(task: str, folder: Path, recipe: str, cache: Path) -> dict[str, float]:
    """Run a task in a fresh process, with an empty cache of fingerprints."""
    with tempfile.TemporaryDirectory(dir=cache) as empty:
        done = subprocess.run(
            [sys.executable, __file__, "--task", task, "--folder", str(folder), "--recipe", recipe],
            env={**os.environ, "AFFECTRUM_CACHE": empty},
            check=True,
            capture_output=True,
            text=True,
        )
    return dict(json.loads(done.stdout))


def run_task(task: str, folder: Path, recipe: str) -> None:
    import affectrum.corpora
    import affectrum.store  # imports are not what is measured

    assert affectrum.store
    function = TASKS[task]
    wall, cpu = time.perf_counter(), time.process_time()
    function(folder, recipe)
    result = {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak": peak_bytes(),
    }
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="de62")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--task", choices=list(TASKS), help="(used by the script itself)")
    chosen = parser.parse_args()
    if chosen.task:
        run_task(chosen.task, chosen.folder, chosen.recipe)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary) / "SEED"
        if not folder.exists():
            from affectrum.twins import write_twin

            start = time.perf_counter()
            write_twin("SEED", folder, subjects=1, sessions=1, forms=("preprocessed",))
            print(f"wrote one full-size session in {time.perf_counter() - start:.1f} s")
        size = next(folder.rglob("1_*.mat")).stat().st_size
        print(f"file: {size / 1e6:.0f} MB; recipe {chosen.recipe}; best of {chosen.repeats}")
        best: dict[str, dict[str, float]] = {}
        for _ in range(chosen.repeats):  # in turns, so that a busy machine slows all of them
            for task in TASKS:
                found = measure(task, folder, chosen.recipe, Path(temporary))
                if task not in best or found["wall_s"] < best[task]["wall_s"]:
                    best[task] = found
    for task, found in best.items():
        print(
            f"{task:14s} {found['wall_s']:7.2f} s wall {found['cpu_s']:7.2f} s CPU "
            f"{found['peak'] / 1e9:6.2f} GB peak"
        )
    reading = best["read_by_trial"]["wall_s"]
    for name, other in (("by trial", reading), ("whole", best["read_whole"]["wall_s"])):
        print(
            f"prepare / reading {name}: {best['prepare']['wall_s'] / other:.2f} (aim {AIM_RATIO})"
        )
    ratio = best["prepare"]["cpu_s"] / best["read_by_trial"]["cpu_s"]
    print(f"CPU time, prepare / reading by trial: {ratio:.2f} (what a single busy core would take)")
    met = best["prepare"]["wall_s"] <= AIM_RATIO * reading and best["prepare"]["peak"] <= AIM_BYTES
    print(f"peak memory: {best['prepare']['peak'] / 1e9:.2f} GB (aim {AIM_BYTES / 1e9} GB)")
    print("met" if met else "MISSED")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
