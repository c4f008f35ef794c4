"""Fine-tuning SCMM on all subjects of a cell at once, beside one subject after the other.

Both train encoder and classifier of the same initial networks on the same batches; before anything
is timed, a float64 run of both must end in the same weights. The two take turns, so that whatever
else the machine does slows both. The best and the median of the rounds are printed, and the
fastest of one way beside the fastest of the other, whatever number of threads suits each.

    python benchmarks/bench_finetune.py [--subjects 15] [--threads 1 2] [--rounds 5] [--device cpu]
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Callable

import numpy as np
import torch

from affectrum.methods.scmm.config import SCMMConfig
from affectrum.methods.scmm.finetuning import SCMMClassifier, make_classifier
from affectrum.methods.scmm.finetuning_many import train_many
from affectrum.methods.scmm.pretraining import make_network
from affectrum.training.loop import ClassifierSettings, make_adam, train_classifier

CONFIG = SCMMConfig()
Data = tuple[list[SCMMClassifier], list[torch.Tensor], list[torch.Tensor]]


def make_data(
    n_subjects: int, n_windows: int, n_channels: int, dtype: torch.dtype, device: str
) -> Data:
    network = make_network(n_channels, 5, CONFIG.width, 0)
    classifiers = [
        make_classifier(copy.deepcopy(network), 3, CONFIG, seed).to(device, dtype)
        for seed in range(n_subjects)
    ]
    generator = torch.Generator().manual_seed(0)
    shape = (n_windows, n_channels, 5)
    xs = [torch.randn(shape, generator=generator).to(device, dtype) for _ in range(n_subjects)]
    ys = [torch.randint(0, 3, (n_windows,), generator=generator).to(device) for _ in xs]
    return classifiers, xs, ys


def one_by_one(data: Data, settings: ClassifierSettings) -> None:
    for number, (classifier, x, y) in enumerate(zip(*data, strict=True)):
        adam = {
            "learning_rate": settings.learning_rate,
            "betas": CONFIG.betas,
            "weight_decay": CONFIG.weight_decay,
        }
        optimizers = [
            make_adam(list(part.parameters()), **adam)
            for part in (classifier.network.encoder, classifier.head)
        ]
        train_classifier(classifier, x, y, optimizers, settings, seed=number)


def at_once(data: Data, settings: ClassifierSettings) -> None:
    classifiers, xs, ys = data
    train_many(
        classifiers,
        xs,
        ys,
        settings,
        betas=CONFIG.betas,
        weight_decay=CONFIG.weight_decay,
        seeds=range(len(xs)),
    )


def largest_difference(settings: ClassifierSettings, device: str) -> float:
    data = make_data(3, 300, 62, torch.float64, device)
    again = copy.deepcopy(data)
    one_by_one(data, settings)
    at_once(again, settings)
    return max(
        float((value - other.state_dict()[name]).abs().max())
        for one, other in zip(data[0], again[0], strict=True)
        for name, value in one.state_dict().items()
    )


def seconds(
    run: Callable[[Data, ClassifierSettings], None], data: Data, settings: ClassifierSettings
) -> tuple[float, float]:
    """Return seconds by the clock, and processor time of all threads."""
    data = copy.deepcopy(data)
    began, used = time.perf_counter(), time.process_time()
    run(data, settings)
    if data[1][0].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began, time.process_time() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=15)
    parser.add_argument("--windows", type=int, default=2010, help="SEED: 9 trials of 1-s windows")
    parser.add_argument("--channels", type=int, default=62)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    settings = ClassifierSettings(epochs=chosen.epochs, batch_size=CONFIG.finetune_batch)
    data = make_data(chosen.subjects, chosen.windows, chosen.channels, torch.float32, chosen.device)
    times: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for threads in chosen.threads:
        torch.set_num_threads(threads)
        found = largest_difference(settings, chosen.device)
        print(f"{threads} threads: largest difference of weights in float64: {found:.1e}")
    for _ in range(chosen.rounds):
        for threads in chosen.threads:
            torch.set_num_threads(threads)
            for way in (one_by_one, at_once):
                took = times.setdefault((threads, way.__name__), [])
                took.append(seconds(way, data, settings))
    load = "" if not hasattr(os, "getloadavg") else f", load {os.getloadavg()[0]:.1f}"
    print(
        f"{chosen.subjects} subjects, {chosen.epochs} epochs of {chosen.windows} windows, "
        f"{chosen.channels} electrodes, {chosen.device}{load}"
    )
    for name, pick in (("best", np.min), ("median", np.median)):
        own = {key: pick(took, axis=0) for key, took in times.items()}
        for (threads, way), (clock, used) in own.items():
            print(
                f"{name} of {chosen.rounds}, {threads} threads, {way}: {clock:.2f} s by the clock, "
                f"{used:.2f} s of processor time"
            )
        one, many = (
            min(clock for (_, way), (clock, _) in own.items() if way == wanted.__name__)
            for wanted in (one_by_one, at_once)
        )
        print(f"{name}: best against best {one:.2f} s / {many:.2f} s = {one / many:.2f}")
        # On a busy machine the clock tells little. Groups side by side need the processor time of
        # the largest share of the subjects, as long as their threads do not wait for each other.
        one = min(used for (_, way), (_, used) in own.items() if way == "one_by_one")
        many = min(
            used * -(-chosen.subjects // threads) / chosen.subjects
            for (threads, way), (_, used) in own.items()
            if way == "at_once"
        )
        print(f"{name}: by processor time {one:.2f} s / {many:.2f} s = {one / many:.2f}")


if __name__ == "__main__":
    main()
