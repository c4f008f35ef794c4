"""EMOD's preset `small` from nothing to a score: how long it takes, stage by stage.

    python benchmarks/bench_emod_small.py [--size small] [--threads 2] [--require 600]
    python benchmarks/bench_emod_small.py --scratch [--head linear]

Writes twins of four pre-training corpora and of a target, prepares them with the recipe
`emod-small`, pre-trains, fine-tunes on the target's training part with validation, and scores its
test part. Seconds are wall clock; ``cpu`` is the processor time of all threads, which says more on
a machine with other work. The corpora are SIMULATED: the score shows that the whole way works and
nothing about people.

With ``--scratch`` pre-training is left out, and what a fresh network's mean token consists of is
printed before: the part that all windows share, what differs between windows, and the noise of
dropout. Training accuracy per epoch tells whether a head learns at all.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from affectrum.windows import Windows

SOURCES = ("SEED-IV", "DEAP", "DREAMER", "AMIGOS")
TARGET = "SEED"


@contextmanager
def timed(name: str, total: dict[str, float]) -> Iterator[None]:
    """Print how long a stage took."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    took = time.perf_counter() - wall
    total[name] = took
    print(f"{name:<14} {took:7.1f} s   cpu {time.process_time() - cpu:7.1f} s", flush=True)


def main() -> None:
    """Run all stages once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="small", choices=["tiny", "small"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep the twins and the store here")
    parser.add_argument("--scratch", action="store_true", help="without pre-training")
    parser.add_argument("--head", help="instead of the preset's")
    parser.add_argument("--require", type=float, help="fail if training takes longer, in seconds")
    options = parser.parse_args()
    # threads that wait must not take the processor from those that work
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        overrides = {"pretraining": False} if options.scratch else {}
        if options.head is not None:
            overrides["head"] = options.head
        folder = options.folder or Path(scratch)
        seconds = run(folder, options.size, options.threads, overrides)
    print(f"pre-training and fine-tuning: {seconds:.0f} s with {options.threads} threads")
    if options.require is not None and seconds > options.require:
        raise SystemExit(f"slower than the required {options.require:.0f} s")


def look_at_mean_token(windows: Windows, n: int = 32) -> None:
    """Print how long the parts of a fresh network's mean token are."""
    import numpy as np
    import torch

    from affectrum.methods import make_method
    from affectrum.methods.emod.networks import build_backbone, seeded

    config = make_method("emod", preset="small").config
    rows = np.linspace(0, len(windows) - 1, n).astype(int)
    x = torch.from_numpy(np.stack([windows.x[row] for row in rows]))
    for dropout in sorted({0.25, config.finetune_dropout}):
        backbone = build_backbone(config, dropout=dropout, seed=0)
        ids = backbone.electrode_ids(windows.channels)

        def mean_token() -> torch.Tensor:
            tokens: torch.Tensor = backbone(x, ids, windows.sfreq)  # noqa: B023
            return tokens.mean(dim=(1, 2))

        with torch.no_grad(), seeded(1):
            backbone.eval()
            quiet = mean_token()
            backbone.train()
            noisy = torch.stack([mean_token() for _ in range(4)])
        shared, between = quiet.mean(dim=0).norm(), quiet.var(dim=0).sum().sqrt()
        noise = noisy.var(dim=0).sum(dim=-1).mean().sqrt()
        print(
            f"mean token     shared {shared:.2f}, between windows {between:.3f}, "
            f"dropout {dropout:g} {noise:.3f}"
        )


def run(folder: Path, size: str, workers: int, overrides: dict[str, Any]) -> float:
    """Return the seconds of pre-training and fine-tuning together."""
    import affectrum as af
    from affectrum.methods.emod import EMOD
    from affectrum.recipes import get_recipe
    from affectrum.store import Store
    from affectrum.twins import SIZES, write_twin

    total: dict[str, float] = {}
    subjects, sessions, trial_seconds = SIZES[size]
    with timed("twins", total):
        for name in (*SOURCES, TARGET):
            if not (folder / name).exists():
                write_twin(
                    name,
                    folder / name,
                    subjects=subjects,
                    sessions=sessions,
                    trial_seconds=trial_seconds,
                    seed=1,
                    workers=workers,
                )
    with timed("windows", total):
        recipe, store = get_recipe("emod-small"), Store(folder / "store")
        windows = [
            store.prepare(af.open_corpus(name, folder / name), recipe)
            for name in (*SOURCES, TARGET)
        ]
    fold = af.make_folds(
        windows,
        "pretrain-finetune",
        source=list(SOURCES),
        target=TARGET,
        classes="valence3",
        source_labels="plane",
        split="trials:5/5/5",
        selection="validation",
    )[0]
    method = af.make_method("emod", preset="small", **overrides)
    assert isinstance(method, EMOD)
    weights = None
    if method.config.pretraining:
        with timed("pre-training", total):
            weights = method.pretrain(fold.access)
    else:
        look_at_mean_token(windows[-1])
    with timed("fine-tuning", total):
        method.fit(fold.access, pretrained=weights)
    with timed("scores", total):
        scores = method.predict_proba(fold.test)
        method.predict_valence_arousal(fold.test)
    source = ", ".join(f"{part.corpus} {len(part)} x {part.shape[1:]}" for part in windows)
    print(f"windows: {source}; scored {len(scores)} (SIMULATED)")
    print("training accuracy", *(f"{record.train_accuracy:.2f}" for record in method.history_))
    print("validation kappa ", *(f"{record.validation:.2f}" for record in method.history_))
    return total.get("pre-training", 0.0) + total["fine-tuning"]


if __name__ == "__main__":
    main()
