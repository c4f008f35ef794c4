"""How fast corpora are listed and read, beside decoding the same files with the usual library.

For each corpus that has a twin:

* listing: a folder with the full number of files, each a few seconds long: the first opening reads
  every header, the second finds them in the cache (aim: 2 s);
* one trial: one full-size subject (all of DREAMER, which is one file); one trial read lazily,
  beside decoding it with SciPy, h5py, pickle, NumPy, pandas or MNE, whichever the field uses;
* a pass over that subject, each trial once: time, and the most memory above the imports' (aim:
  2 GB);
* the same pass over the small files of all subjects in one process and in several.

    python benchmarks/bench_corpora.py [SEED DEAP ...] [--folder DIR] [--processes 2] [--seconds 2]

Without names a few corpora are measured that stand for the containers, with `all` all that have a
twin (a quarter of an hour). Twins that are in --folder already are used again. Ratios
are what to look at; no aim stops the run.
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
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

AIM_LISTING_S = 2.0
AIM_BYTES = 2e9
REPEATS = 5
USUAL = ("SEED-IV", "DEAP", "DREAMER", "FACED", "MAHNOB-HCI")
ONE_FILE = ("DREAMER",)  # all subjects in one file, so one subject's would say little


# what the field does to get at one trial


def _mat(path: Path, row: int, key: str, window: tuple[int, int]) -> Any:
    import h5py
    from scipy.io import loadmat, whosmat

    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            return max((item[()] for item in file.values()), key=lambda x: x.size)
    names = [name for name, _, _ in whosmat(path)]
    return loadmat(path, variable_names=[key] if key in names else None)


def _pickle(path: Path, row: int, key: str, window: tuple[int, int]) -> Any:
    import pickle

    with path.open("rb") as file:
        return pickle.load(file, encoding="latin1")


def _mne(path: Path, row: int, key: str, window: tuple[int, int]) -> Any:
    import mne

    readers = {
        ".bdf": mne.io.read_raw_bdf,
        ".edf": mne.io.read_raw_edf,
        ".cnt": mne.io.read_raw_cnt,
        ".set": mne.io.read_raw_eeglab,
        ".vhdr": mne.io.read_raw_brainvision,
    }
    return readers[path.suffix](path, verbose="error").get_data(start=window[0], stop=window[1])


def _numpy(path: Path, row: int, key: str, window: tuple[int, int]) -> Any:
    return np.load(path)


def _csv(path: Path, row: int, key: str, window: tuple[int, int]) -> Any:
    import pandas as pd

    return pd.read_csv(path).to_numpy()


PEERS: dict[str, Callable[[Path, int, str, tuple[int, int]], Any]] = {
    ".mat": _mat,
    ".dat": _pickle,
    ".pkl": _pickle,
    ".bdf": _mne,
    ".edf": _mne,
    ".cnt": _mne,
    ".set": _mne,
    ".vhdr": _mne,
    ".npy": _numpy,
    ".csv": _csv,
}


def peak_bytes() -> int:
    """Return the largest memory this process had (its own, where Linux tells it apart)."""
    try:
        # getrusage counts what the parent had before this program was started
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def fresh(task: str, corpus: str, folder: Path, cache: Path) -> dict[str, float]:
    """Run a task in a process of its own."""
    command = [sys.executable, __file__, corpus, "--task", task, "--folder", str(folder)]
    environment = {**os.environ, "AFFECTRUM_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run_task(task: str, corpus: str, folder: Path) -> None:
    import pandas as pd

    import affectrum.corpora
    from affectrum.corpora import open_corpus

    assert pd.__version__  # imported before anything is measured
    assert affectrum.corpora
    base, start = peak_bytes(), time.perf_counter()
    opened = open_corpus(corpus, folder, options=options_of(corpus, folder))
    found: dict[str, float] = {"trials": len(opened.trials), "open_s": time.perf_counter() - start}
    if task == "pass":
        start = time.perf_counter()
        n_bytes = 0
        for _, x in opened.iter_trials():
            n_bytes += x.nbytes
        found |= {"pass_s": time.perf_counter() - start, "bytes": n_bytes}
    found["peak"] = peak_bytes() - base
    print(json.dumps(found))


def options_of(corpus: str, folder: Path) -> Any:
    """Return what the reader has to be told of a twin."""
    written = folder / "simulated_options.yaml"
    if written.exists():
        return written
    if corpus == "EAV":
        from affectrum.twins import eav

        return {"channels": eav.ELECTRODES}
    return None


def best(function: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def one_trial(corpus: str, folder: Path) -> tuple[float, float | None, str]:
    """Return seconds to read a trial in the middle, the same for the peer, and the file's kind."""
    from affectrum.corpora import open_corpus

    opened = open_corpus(corpus, folder, options=options_of(corpus, folder))
    trial = opened.trials.iloc[len(opened.trials) // 2]
    path = folder / trial["file"]
    own = best(lambda: opened.read(trial))
    peer = PEERS.get(path.suffix)
    if peer is None:
        return own, None, path.suffix
    first = round(trial["onset_s"] * trial["sfreq"])
    window = (first, first + round(trial["duration_s"] * trial["sfreq"]))
    return own, best(lambda: peer(path, int(trial["row"]), trial["key"], window)), path.suffix


def read_share(corpus: str, folder: Path, part: int, n_parts: int) -> int:
    """Read every n-th file of a corpus; return how many trials that were."""
    from affectrum.corpora import open_corpus

    opened = open_corpus(corpus, folder, options=options_of(corpus, folder))
    trials = opened.trials
    mine = trials[trials.groupby("file", sort=False).ngroup() % n_parts == part]
    return sum(1 for _ in opened.iter_trials(mine))


def share_out(corpus: str, folder: Path, n_processes: int) -> float:
    context = get_context("spawn")
    with ProcessPoolExecutor(n_processes, mp_context=context) as pool:
        list(pool.map(abs, range(4 * n_processes)))  # the processes have started
        list(pool.map(_import, range(2 * n_processes)))
        start = time.perf_counter()
        jobs = [pool.submit(read_share, corpus, folder, k, n_processes) for k in range(n_processes)]
        assert sum(job.result() for job in jobs)
        return time.perf_counter() - start


def _import(_: int) -> None:
    import pandas as pd

    import affectrum.corpora

    assert pd.__version__
    assert affectrum.corpora
    time.sleep(0.2)  # so that every process gets one


def twin(corpus: str, folder: Path, **options: Any) -> Path:
    """Write a twin with signals unless it is there."""
    from affectrum.corpora import reader
    from affectrum.errors import ConfigError
    from affectrum.twins import write_twin

    if not folder.exists():
        start = time.perf_counter()
        for form in reader(corpus).signal_forms:  # the preferred form that the twin can write
            try:
                write_twin(corpus, folder, forms=[form], **options)
                break
            except ConfigError:
                continue
        else:
            write_twin(corpus, folder, **options)
        print(f"  (wrote {folder.name} in {time.perf_counter() - start:.1f} s)")
    return folder


def measure(corpus: str, top: Path, seconds: float, n_processes: int) -> None:
    print(corpus)
    many = twin(corpus, top / f"{corpus}-many", trial_seconds=seconds, workers=os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as cache:
        first = fresh("list", corpus, many, Path(cache))
        second = fresh("list", corpus, many, Path(cache))
        os.environ["AFFECTRUM_CACHE"] = cache
        n_files = sum(1 for path in many.rglob("*") if path.is_file())
        print(
            f"  listing {first['trials']:.0f} trials, {n_files} files: {first['open_s']:.2f} s, "
            f"from the cache {second['open_s']:.2f} s (aim {AIM_LISTING_S:g})"
        )
        alone = share_out(corpus, many, 1)
        shared = share_out(corpus, many, n_processes)
        print(
            f"  all small files: {alone:.2f} s in one process, {shared:.2f} s in {n_processes}: "
            f"{alone / shared:.2f} times as fast"
        )
        subjects = None if corpus in ONE_FILE else 1
        whole = twin(corpus, top / f"{corpus}-whole", subjects=subjects)
        own, peer, kind = one_trial(corpus, whole)
        beside = "no peer" if peer is None else f"plainly {peer:.3f} s, ratio {own / peer:.2f}"
        print(f"  one full-size trial of a {kind} file: {own:.3f} s, {beside}")
        passed = fresh("pass", corpus, whole, Path(cache))
        print(
            f"  a pass over {subjects or 'all'} subject(s): {passed['trials']:.0f} trials, "
            f"{passed['bytes'] / 1e6:.0f} MB of volts in {passed['pass_s']:.2f} s, "
            f"{passed['peak'] / 1e9:.2f} GB of memory (aim {AIM_BYTES / 1e9:g})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", nargs="*", help="names, or all")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seconds", type=float, default=2.0, help="trials of the many files")
    parser.add_argument("--task", choices=["list", "pass"], help="(used by the script itself)")
    chosen = parser.parse_args()
    if chosen.task:
        run_task(chosen.task, chosen.corpora[0], chosen.folder)
        return
    from affectrum import twins

    with tempfile.TemporaryDirectory() as temporary:
        top = chosen.folder or Path(temporary)
        names = twins.names() if chosen.corpora == ["all"] else chosen.corpora or USUAL
        for corpus in names:
            try:
                measure(corpus, top, chosen.seconds, chosen.processes)
            except subprocess.CalledProcessError as error:
                print(f"  stopped: {error.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    main()
