"""EMOD's backbone beside its plain form, forward and backward, in one run; and on a GPU, alone.

    python benchmarks/bench_emod.py [--threads 2] [--batches 1 4] [--rounds 5] [--require 1.5]
    python benchmarks/bench_emod.py --device cuda

On a CPU, the package's backbone and `emod_plain.py` hold the same weights and take turns on the
same FACED-like windows (32 electrodes x 10 s at 250 Hz), so that whatever else the machine does
slows both. Results and gradients are compared before anything is timed. Seconds per window are wall
clock; ``cpu`` is the processor time, which says more on a machine with other work.

On a GPU: windows per second in float32, TF32 and bfloat16, the share of the measured ceilings of
matrix products and copies that they reach, memory, and how far bfloat16 and float32 are apart,
printed and written to ``benchmarks/results/emod-<device>.json``.
"""

from __future__ import annotations

import argparse
import json
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


# ---------------------------------------------------------------------------------------- CPU


def compare(plain: PlainBackbone, fast: EMODBackbone, x: torch.Tensor, ids: torch.Tensor) -> None:
    """Compare results and gradients without dropout; print and assert how far they are apart."""
    plain.eval()
    fast.eval()
    down = torch.randn(len(x), N_CHANNELS, N_TOKENS, fast.width)
    found, wanted = fast(x, ids, SFREQ), plain(x, ids, SFREQ)
    apart = float((found - wanted).abs().max().detach())
    step(plain, x, ids, down)
    step(fast, x, ids, down)
    theirs = dict(plain.named_parameters())
    gradients_apart = 0.0
    for name, there in names_in_package(len(plain.blocks)).items():
        one, other = fast.get_parameter(name).grad, theirs[there].grad
        assert one is not None
        assert other is not None
        gradients_apart = max(
            gradients_apart, float((one - other).abs().max() / other.abs().max().clamp_min(1e-6))
        )
    print(f"results apart {apart:.1e}, gradients {gradients_apart:.1e} of the largest")
    assert apart < 1e-5
    plain.train()
    fast.train()


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
    compare(plain, fast, windows(1), ids)
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


def ceilings(device: torch.device) -> dict[str, float]:
    """Measure matrix products (operations per second) and copies (bytes per second)."""
    found = {}
    n = 8192
    for name, dtype, tf32 in (
        ("float32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bfloat16", torch.bfloat16, False),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a = torch.randn(n, n, device=device, dtype=dtype)
        b = torch.randn(n, n, device=device, dtype=dtype)
        found[name] = 2 * n**3 / seconds_of(lambda a=a, b=b: a @ b, device, 5)
    big = torch.empty(1 << 28, device=device)
    into = torch.empty_like(big)
    found["copy"] = 2 * big.numel() * 4 / seconds_of(lambda: into.copy_(big), device, 5)
    return found


def on_gpu(options: argparse.Namespace) -> int:
    """Print and write throughput, shares of ceilings, memory and agreement."""
    device = torch.device(options.device)
    torch.manual_seed(0)
    network = EMODBackbone(options.width, options.depth).to(device)
    ids = torch.arange(1, N_CHANNELS + 1, device=device)
    top = ceilings(device)
    operations = 3 * flops_per_window(options.width, options.depth)
    rows: list[dict[str, Any]] = []
    for n in options.batches:
        x = windows(n, device)
        down = torch.full((n, N_CHANNELS, N_TOKENS, options.width), 1e-3, device=device)
        for mode in ("float32", "tf32", "bfloat16"):
            torch.backends.cuda.matmul.allow_tf32 = mode == "tf32"

            def call(x: torch.Tensor = x, down: torch.Tensor = down, mode: str = mode) -> None:
                with torch.autocast(device.type, torch.bfloat16, enabled=mode == "bfloat16"):
                    tokens = network(x, ids, SFREQ)
                network.zero_grad()
                tokens.backward(down.to(tokens.dtype))

            torch.cuda.reset_peak_memory_stats(device)
            seconds = seconds_of(call, device, options.rounds)
            peak = torch.cuda.max_memory_allocated(device)
            row = {
                "mode": mode,
                "batch": n,
                "windows_per_second": n / seconds,
                "share_of_matmul": n * operations / seconds / top[mode],
                # memory that was touched once at least, written and read
                "share_of_copy_lower_bound": 2 * peak / seconds / top["copy"],
                "peak_bytes": peak,
            }
            rows.append(row)
            print("  ".join(f"{k} {v:.4g}" if k != "mode" else str(v) for k, v in row.items()))
    network.eval()
    torch.backends.cuda.matmul.allow_tf32 = False
    with torch.no_grad():
        x = windows(16, device)
        wanted = network(x, ids, SFREQ)
        with torch.autocast(device.type, torch.bfloat16):
            found = network(x, ids, SFREQ).float()
    apart = float((found - wanted).norm() / wanted.norm())
    print(f"bfloat16 and float32 tokens are apart by {apart:.2e} of their norm")
    report = {
        "device": torch.cuda.get_device_name(device),
        "torch": torch.__version__,
        "width": options.width,
        "depth": options.depth,
        "window": [N_CHANNELS, N_SAMPLES],
        "ceilings": top,
        "rows": rows,
        "bfloat16_apart": apart,
    }
    RESULTS.mkdir(exist_ok=True)
    name = report["device"].lower().replace(" ", "-")
    path = RESULTS / f"emod-{name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
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
