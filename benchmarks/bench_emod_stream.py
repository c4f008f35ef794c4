"""Batches of eight corpora from disk while EMOD trains: waiting, speed and memory.

Eight corpora of the shapes that EMOD is pre-trained on, of noise, are written to disk, three times
as large together as the memory that is allowed for data. Then, each in a process of its own:

- reading alone, with a limit on the process's own memory (``RLIMIT_DATA``) of what it had before
  plus what is allowed, beside plain indexing of the memory maps;
- training, by the very loop of pre-training: the share of the time it waits for batches.

Files are driven out of the page cache before each batch, so that every row comes from the disk.

    python benchmarks/bench_emod_stream.py [--allowed 400] [--width 32] [--depth 2] [--steps 4]
        [--per-region 1] [--device cpu] [--folder FOLDER]

Exits with 1 if waiting exceeds 5 % of the step or memory what is allowed. Needs Linux.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

# Electrodes, samples of ten seconds, Hz, windows of the published corpora in proportion.
CORPORA = {
    "DEAP": (32, 1280, 128.0, 3840),
    "AMIGOS": (14, 1280, 128.0, 5000),
    "MDME": (18, 3000, 300.0, 5329),
    "SEED-VII": (62, 2000, 200.0, 27340),
    "DREAMER": (14, 1280, 128.0, 5000),
    "MAHNOB-HCI": (32, 1280, 128.0, 5716),
    "SEED-IV": (62, 2000, 200.0, 14655),
    "MPED": (62, 2000, 200.0, 12190),
}
AIM_SHARE = 0.05
MB = 1e6


def write_corpora(folder: Path, n_bytes: float) -> None:
    """Write noise of the corpora's shapes, `n_bytes` together."""
    folder.mkdir(parents=True, exist_ok=True)
    full = sum(4 * c * t * n for c, t, _, n in CORPORA.values())
    rng = np.random.default_rng(0)
    for name, (n_channels, n_samples, _, n) in CORPORA.items():
        n = max(9, round(n * n_bytes / full))
        shape = (n, n_channels, n_samples)
        x = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape)
        for start in range(0, n, 50):
            rows = x[start : start + 50]
            rows[:] = 1e-5 * rng.standard_normal(rows.shape, dtype=np.float32)
        x.flush()
        del x
        with (folder / f"{name}.npy").open("rb") as file:
            os.fsync(file.fileno())


def open_corpora(folder: Path) -> tuple[list, list]:
    from affectrum.catalog import seed
    from affectrum.electrodes import require_canonical
    from affectrum.windows import Windows

    names = require_canonical(seed.ELECTRODES_IN_FILE)
    parts, va = [], []
    rng = np.random.default_rng(1)
    for name, (n_channels, _, sfreq, _) in CORPORA.items():
        x = np.load(folder / f"{name}.npy", mmap_mode="r")
        table = pd.DataFrame({"corpus": name, "subject": 1, "trial": np.arange(len(x)) + 1})
        parts.append(
            Windows(x, table, kind="raw", channels=names[:n_channels], sfreq=sfreq, recipe="bench")
        )
        va.append(rng.uniform(-1, 1, (len(x), 2)))
    return parts, va


def evict(folder: Path, parts: list) -> None:
    """Drive the corpora out of the page cache."""
    for part in parts:
        part._base._mmap.madvise(mmap.MADV_DONTNEED)
    for path in folder.glob("*.npy"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def memory() -> dict[str, float]:
    """MB of the process's own memory, of mapped files, and of data that could be written."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        name: int(fields[name].split()[0]) * 1024 / MB for name in ("RssAnon", "RssFile", "VmData")
    }


class Peak(threading.Thread):
    """Follows the process's memory."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before = memory()
        self.most = dict(self.before)
        self._ended = threading.Event()

    def run(self) -> None:
        """Look every three milliseconds."""
        while not self._ended.wait(0.003):
            for name, value in memory().items():
                self.most[name] = max(self.most[name], value)

    def above(self) -> dict[str, float]:
        """MB above the beginning, at most."""
        self._ended.set()
        self.join()
        return {name: self.most[name] - self.before[name] for name in self.most}


def make_sampler(va: list, per_region: int):
    from affectrum.affect import emod_regions
    from affectrum.methods.emod.sampling import RegionSampler

    return RegionSampler([emod_regions(points) for points in va], per_region, seed=0)


def reading(folder: Path, chosen: argparse.Namespace) -> dict[str, float]:
    """Read batches with a limit on memory; then by plain indexing."""
    import torch

    from affectrum.methods.emod.streaming import WindowStream

    torch.set_num_threads(1)
    parts, va = open_corpora(folder)
    sampler = make_sampler(va, 4)  # the published 288 windows
    stream = WindowStream(parts, va, sampler)
    next(stream.batches(0, 1))
    limit = int((memory()["VmData"] + chosen.allowed) * MB)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    peak = Peak()
    peak.start()
    steps, size, took, plainly = 25, 0, 0.0, 0.0
    evict(folder, parts)
    batches = stream.batches(0, steps)
    for _ in range(steps):
        start = time.perf_counter()
        batch = next(batches)
        took += time.perf_counter() - start
        size += sum(part.x.nbytes for part in batch)
        del batch
        evict(folder, parts)
    above = peak.above()
    for step in range(3):
        evict(folder, parts)
        rows = sampler.batch(1000 + step)
        start = time.perf_counter()
        for part, own in zip(parts, rows, strict=True):
            np.array(part._base[own])
        plainly += time.perf_counter() - start
    return {
        "batch_mb": size / steps / MB,
        "mb_per_s": size / MB / took,
        "windows_per_s": 288 * steps / took,
        "plain_mb_per_s": 3 * size / steps / MB / plainly,
        "read_mb": size / MB,
        "own_memory_mb": above["RssAnon"],
        "mapped_mb": above["RssFile"],
    }


def training(folder: Path, chosen: argparse.Namespace) -> dict[str, float]:
    """Pre-train for some steps; how long it waits for batches."""
    import torch

    from affectrum.methods.emod import EMODConfig
    from affectrum.methods.emod.pretraining import make_pretrain_network
    from affectrum.methods.emod.pretraining_loop import run_pretraining
    from affectrum.methods.emod.streaming import WindowStream

    class Timed(WindowStream):
        """Notes how long batches are waited for, and steps with that."""

        def batches(self, start: int, stop: int) -> Iterator[list]:
            self.waits: list[float] = []
            self.steps: list[float] = []
            inner = super().batches(start, stop)
            for _ in range(start, stop):
                asked = time.perf_counter()
                batch = next(inner)
                self.waits.append(time.perf_counter() - asked)
                try:
                    yield batch
                finally:  # also when nothing more is asked for
                    self.steps.append(time.perf_counter() - asked)
                evict(folder, self.parts)

    torch.set_num_threads(chosen.threads)
    parts, va = open_corpora(folder)
    config = EMODConfig(
        width=chosen.width,
        depth=chosen.depth,
        per_region=chosen.per_region,
        pretrain_epochs=1,
        pretrain_steps=chosen.steps,
        device=chosen.device,
        precision=chosen.precision,
    )
    device = torch.device(chosen.device)
    stream = Timed(parts, va, make_sampler(va, chosen.per_region), device=device)
    evict(folder, parts)
    network = make_pretrain_network(config).to(device)
    run_pretraining(network, stream, config, steps_per_epoch=chosen.steps)
    steps = stream.steps
    later = slice(1, None)  # nothing can be read ahead of the first step
    n = 8 * 9 * chosen.per_region
    alone = time.perf_counter()
    evict(folder, parts)
    stream.read(10_000)
    alone = time.perf_counter() - alone
    return {
        "step_s": float(np.mean(steps[later])),
        "wait_s": float(np.mean(stream.waits[later])),
        "share": float(np.sum(stream.waits[later]) / np.sum(steps[later])),
        "first_wait_s": stream.waits[0],
        "alone_s": alone,
        "windows": n,
        "windows_per_s": n / float(np.mean(steps[later])),
    }


TASKS = {"reading": reading, "training": training}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allowed", type=float, default=400, help="MB of memory for data")
    parser.add_argument("--ratio", type=float, default=3, help="size of the data in that")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--per-region", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--task", choices=list(TASKS), help="(used by the script itself)")
    chosen = parser.parse_args()
    if chosen.task:
        print(json.dumps(TASKS[chosen.task](chosen.folder, chosen)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        if not any(folder.glob("*.npy")):
            write_corpora(folder, chosen.allowed * chosen.ratio * MB)
        on_disk = sum(path.stat().st_size for path in folder.glob("*.npy")) / MB
        found = {}
        for task in TASKS:
            command = [sys.executable, *sys.argv, "--task", task, "--folder", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            found[task] = json.loads(done.stdout)
    read, train = found["reading"], found["training"]
    print(f"data on disk {on_disk:.0f} MB, memory allowed for it {chosen.allowed:.0f} MB")
    print(
        f"reading alone, batches of 288 windows ({read['batch_mb']:.0f} MB): "
        f"{read['mb_per_s']:.0f} MB/s, {read['windows_per_s']:.0f} windows/s from the disk; plain "
        f"indexing {read['plain_mb_per_s']:.0f} MB/s"
    )
    print(
        f"  {read['read_mb']:.0f} MB read under the limit; own memory up by "
        f"{read['own_memory_mb']:.0f} MB, mapped pages by {read['mapped_mb']:.0f} MB"
    )
    print(
        f"training, width {chosen.width}, depth {chosen.depth}, {train['windows']:.0f} windows a "
        f"step, {chosen.device}: {train['step_s']:.2f} s a step, {train['windows_per_s']:.1f} "
        f"windows/s"
    )
    print(
        f"  waiting {1e3 * train['wait_s']:.1f} ms a step, {train['share']:.2%} (aim under "
        f"{AIM_SHARE:.0%}); first batch {1e3 * train['first_wait_s']:.0f} ms; reading a batch "
        f"without training beside it {1e3 * train['alone_s']:.0f} ms"
    )
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    met = train["share"] < AIM_SHARE and read["own_memory_mb"] <= chosen.allowed
    print("met" if met else "MISSED")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
