"""EMOD's backbone beside its plain form, forward and backward, in one run; and on a GPU, alone.

    python benchmarks/bench_emod.py [--threads 2] [--batches 1 4] [--rounds 5] [--require 1.5]
    python benchmarks/bench_emod.py --device cuda

On a CPU, the package's backbone and `emod_plain.py` hold the same weights and take turns on the
same FACED-like windows (32 electrodes x 10 s at 250 Hz), so that whatever else the machine does
slows both. Results and gradients are compared before anything is timed. Seconds per window are wall
clock; ``cpu`` is the processor time, which says more on a machine with other work.

On a GPU: first how far tokens and gradients of two windows in float32 are from those of the plain
form on the CPU, and tokens in bfloat16 from those in float32; then windows per second in float32,
TF32 and bfloat16, the share of the measured ceilings of matrix products and copies that they reach,
and memory. Printed, and written after each row to ``benchmarks/results/emod-<device>.json``. A
batch that does not fit into memory is a row too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from emod_plain import PlainBackbone, copy_weights, names_in_package
from torch import nn

from affectrum.methods.emod.backbone import EMODBackbone

RESULTS = Path(__file__).parent / "results"
N_CHANNELS, N_SAMPLES, SFREQ, N_TOKENS = 32, 2500, 250.0, 50


def windows(n: int, device: torch.device | None = None) -> torch.Tensor:
    """Return noise of 20 microvolts in the shape of FACED's windows, volts."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, N_CHANNELS, N_SAMPLES, generator=generator) * 20e-6
    return x.to(device) if device is not None else x


def step(network: nn.Module, x: torch.Tensor, ids: torch.Tensor, down: torch.Tensor) -> None:
    """Go forward and backward once."""
    for parameter in network.parameters():
        parameter.grad = None
    network(x, ids, SFREQ).backward(down)


def flops_per_window(width: int, depth: int) -> float:
    """Count the floating-point operations of matrix products and convolutions, forward."""
    tokens = N_CHANNELS * N_TOKENS
    n_bins = N_SAMPLES // 2 + 1
    encoder = 2 * 25 * width * N_CHANNELS * (N_SAMPLES + n_bins) + 4 * tokens * width * width
    dense = 2 * tokens * (2 * 4 * width * width + 8 * width * width)
    attention = 4 * tokens * width * N_CHANNELS + 6 * tokens * width * N_TOKENS
    return float(encoder + depth * (dense + attention))


def compare(
    plain: PlainBackbone, fast: EMODBackbone, x: torch.Tensor, ids: torch.Tensor
) -> dict[str, Any]:
    """Compare results and gradients in float32 without dropout; print how far they are apart.

    The plain form computes on the CPU, the package's on its device. Tokens: the largest difference,
    as it is and as a share of the largest token. Gradients: the largest difference as a share of
    the parameter's largest gradient, and of which parameter.
    """
    device = next(fast.parameters()).device
    plain.eval()
    fast.eval()
    with torch.no_grad():
        wanted = plain(x, ids, SFREQ)
        differences = (fast(x.to(device), ids.to(device), SFREQ).cpu() - wanted).abs()
    down = torch.randn(wanted.shape)
    step(plain, x, ids, down)
    step(fast, x.to(device), ids.to(device), down.to(device))
    theirs = dict(plain.named_parameters())
    shares = {}
    for name, there in names_in_package(len(plain.blocks)).items():
        one, other = fast.get_parameter(name).grad, theirs[there].grad
        assert one is not None
        assert other is not None
        shares[name] = float((one.cpu() - other).abs().max() / other.abs().max().clamp_min(1e-6))
    worst = max(shares, key=lambda name: shares[name])
    found = {
        "tokens": float(differences.max()),
        "tokens_relative": float(differences.max() / wanted.abs().max()),
        "gradients_relative": shares[worst],
        "gradients_of": worst,
    }
    print(
        f"results apart {found['tokens']:.1e} ({found['tokens_relative']:.1e} of the largest), "
        f"gradients {shares[worst]:.1e} of the largest ({worst})"
    )
    plain.train()
    fast.train()
    return found


# ---------------------------------------------------------------------------------------- CPU


def take_turns(
    calls: dict[str, Callable[[], None]], n: int, rounds: int
) -> dict[str, tuple[float, float, float]]:
    """Return best and median wall seconds and best processor seconds per window of each call."""
    wall: dict[str, list[float]] = {name: [] for name in calls}
    cpu: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(rounds + 1):
        for name, call in calls.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            call()
            if i:  # the first round warms up
                wall[name].append((time.perf_counter() - began) / n)
                cpu[name].append((time.process_time() - began_cpu) / n)
    return {
        name: (min(wall[name]), statistics.median(wall[name]), min(cpu[name])) for name in calls
    }


def on_cpu(options: argparse.Namespace) -> int:
    """Print the gain over the plain form."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    plain = PlainBackbone(options.width, options.depth)
    fast = EMODBackbone(options.width, options.depth)
    copy_weights(plain, fast)
    ids = torch.arange(1, N_CHANNELS + 1)
    print(
        f"width {options.width}, depth {options.depth}, {N_CHANNELS} x {N_SAMPLES}, "
        f"{options.threads} threads, torch {torch.__version__}; seconds per window"
    )
    assert compare(plain, fast, windows(1), ids)["tokens"] < 1e-5
    least = float("inf")
    for n in options.batches:
        x = windows(n)
        down = torch.full((n, N_CHANNELS, N_TOKENS, options.width), 1e-3)
        times = take_turns(
            {
                "plain": lambda x=x, down=down: step(plain, x, ids, down),
                "fast": lambda x=x, down=down: step(fast, x, ids, down),
            },
            n,
            options.rounds,
        )
        for name, (best, median, cpu) in times.items():
            print(f"batch {n:3d} {name:6s} best {best:.3f}  median {median:.3f}  cpu {cpu:.3f}")
        gains = [p / f for p, f in zip(times["plain"], times["fast"], strict=True)]
        print(f"          gain   best {gains[0]:.2f}x  median {gains[1]:.2f}x  cpu {gains[2]:.2f}x")
        least = min(least, gains[0])
    if least < options.require:
        print(f"the gain of {least:.2f} is below the required {options.require}")
        return 1
    return 0


# ---------------------------------------------------------------------------------------- GPU


def seconds_of(call: Callable[[], Any], device: torch.device, rounds: int) -> float:
    """Return the median seconds of a call on a device."""
    taken = []
    for i in range(rounds + 2):
        torch.cuda.synchronize(device)
        began = time.perf_counter()
        call()
        torch.cuda.synchronize(device)
        if i > 1:
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def allow_tf32(allowed: bool) -> None:
    """Let matrix products and convolutions round what they read to TF32, or not."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def ceilings(device: torch.device) -> dict[str, float]:
    """Measure matrix products (operations per second) and copies (bytes per second)."""
    found = {}
    n = 8192
    for name, dtype, tf32 in (
        ("float32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bfloat16", torch.bfloat16, False),
    ):
        allow_tf32(tf32)
        a = torch.randn(n, n, device=device, dtype=dtype)
        b = torch.randn(n, n, device=device, dtype=dtype)
        found[name] = 2 * n**3 / seconds_of(lambda a=a, b=b: a @ b, device, 5)
    big = torch.empty(1 << 28, device=device)
    into = torch.empty_like(big)
    found["copy"] = 2 * big.numel() * 4 / seconds_of(lambda: into.copy_(big), device, 5)
    return found


def bfloat16_apart(network: EMODBackbone, x: torch.Tensor, ids: torch.Tensor) -> float:
    """Return how far tokens in bfloat16 are from those in float32, as a share of their norm."""
    network.eval()
    with torch.no_grad():
        wanted = network(x, ids, SFREQ)
        with torch.autocast(x.device.type, torch.bfloat16):
            found = network(x, ids, SFREQ).float()
    network.train()
    return float((found - wanted).norm() / wanted.norm())


def row_of(
    network: EMODBackbone, ids: torch.Tensor, mode: str, n: int, rounds: int, top: dict[str, float]
) -> dict[str, Any]:
    """Measure batches of `n` windows in one mode, forward and backward."""
    device = ids.device
    x = windows(n, device)
    down = torch.full((n, N_CHANNELS, N_TOKENS, network.width), 1e-3, device=device)
    allow_tf32(mode == "tf32")

    def call() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=mode == "bfloat16"):
            tokens = network(x, ids, SFREQ)
        network.zero_grad()
        tokens.backward(down.to(tokens.dtype))

    torch.cuda.reset_peak_memory_stats(device)
    seconds = seconds_of(call, device, rounds)
    peak = torch.cuda.max_memory_allocated(device)
    operations = 3 * flops_per_window(network.width, len(network.blocks))
    return {
        "mode": mode,
        "batch": n,
        "windows_per_second": n / seconds,
        "share_of_matmul": n * operations / seconds / top[mode],
        # memory that was touched once at least, written and read
        "share_of_copy_lower_bound": 2 * peak / seconds / top["copy"],
        "peak_bytes": peak,
    }


def write(report: dict[str, Any]) -> Path:
    """Write what is known so far; a kill leaves the former file or the new one."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"emod-{report['device'].lower().replace(' ', '-')}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    os.replace(part, path)
    return path


def on_gpu(options: argparse.Namespace) -> int:
    """Print and write agreement, throughput, shares of ceilings and memory."""
    device = torch.device(options.device)
    torch.manual_seed(0)
    allow_tf32(False)
    plain = PlainBackbone(options.width, options.depth)
    network = EMODBackbone(options.width, options.depth)
    copy_weights(plain, network)
    network.to(device)
    ids = torch.arange(1, N_CHANNELS + 1)
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device),
        "torch": torch.__version__,
        "width": options.width,
        "depth": options.depth,
        "window": [N_CHANNELS, N_SAMPLES],
        "float32_from_plain_on_cpu": compare(plain, network, windows(2), ids),
    }
    ids = ids.to(device)
    report["bfloat16_apart"] = bfloat16_apart(network, windows(16, device), ids)
    print(f"bfloat16 and float32 tokens are apart by {report['bfloat16_apart']:.2e} of their norm")
    report["ceilings"] = top = ceilings(device)
    rows: list[dict[str, Any]] = []
    report["rows"] = rows
    path = write(report)
    for n in options.batches:
        for mode in ("float32", "tf32", "bfloat16"):
            try:
                row = row_of(network, ids, mode, n, options.rounds, top)
            except torch.cuda.OutOfMemoryError:
                row = {"mode": mode, "batch": n, "out_of_memory": True}
            # after the error is gone, and with it what its frames held
            network.zero_grad()
            torch.cuda.empty_cache()
            rows.append(row)
            print("  ".join(f"{k} {v:.4g}" if k != "mode" else str(v) for k, v in row.items()))
            write(report)
    print(f"written to {path}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=None)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--require", type=float, default=0.0, help="fail if the gain is smaller")
    options = parser.parse_args()
    if options.batches is None:
        options.batches = [1, 4] if options.device == "cpu" else [36, 288]
    return on_cpu(options) if options.device == "cpu" else on_gpu(options)


if __name__ == "__main__":
    sys.exit(main())
