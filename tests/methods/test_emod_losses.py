"""EMOD's losses beside the reference's numbers, plain loops, closed forms and two processes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import affectrum as af
from affectrum.affect import emod_regions, emod_to_plane, plane_to_emod, to_valence_arousal
from affectrum.errors import ConfigError
from affectrum.methods.emod.losses import (
    gather_rows,
    hard_va_loss,
    instance_loss,
    pair_weights,
    supcon_loss,
    va_contrastive_loss,
)

# From a description of the paper and its code: loss by temperature for two largest distances.
GOLDEN_Z = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.6, 0.8))
GOLDEN_VA = ((0.0, 0.0), (3.0, 2.0), (-1.0, 2.0), (2.0, 1.0))
GOLDEN = [
    (0.07, 5.0, 7.699903),
    (0.07, math.sqrt(182), 8.192223),
    (0.5, 5.0, 1.462096),
    (0.5, math.sqrt(182), 1.531020),
    (1.0, 5.0, 1.182273),
    (1.0, math.sqrt(182), 1.216736),
]
WORDS = ("neutral", "sad", "fear", "happy", "disgust", "surprise", "funny")
WEIGHTS = [
    [1.000, 0.717, 0.553, 0.279, 0.553, 0.600, 0.553],
    [0.717, 1.000, 0.800, 0.175, 0.800, 0.717, 0.400],
    [0.553, 0.800, 1.000, 0.200, 0.717, 0.800, 0.368],
    [0.279, 0.175, 0.200, 1.000, 0.000, 0.400, 0.717],
    [0.553, 0.800, 0.717, 0.000, 1.000, 0.553, 0.200],
    [0.600, 0.717, 0.800, 0.400, 0.553, 1.000, 0.553],
    [0.553, 0.400, 0.368, 0.717, 0.200, 0.553, 1.000],
]


def on_sphere(n: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    z = torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return torch.nn.functional.normalize(z, dim=1)


def places(n: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 8 * torch.rand(n, 2, generator=generator, dtype=dtype) - 4


def plain_loss(z: np.ndarray, weights: np.ndarray, temperature: float) -> float:
    """The formula of the paper, pair by pair, as a mean over anchors."""
    total = 0.0
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        below = sum(math.exp(float(z[i] @ z[k]) / temperature) for k in others)
        above = sum(weights[i][j] for j in others)
        if above == 0:
            continue
        for j in others:
            log_p = float(z[i] @ z[j]) / temperature - math.log(below)
            total -= weights[i][j] * log_p / above
    return total / len(z)


def plain_weights(va: np.ndarray, max_distance: float) -> np.ndarray:
    weights = np.zeros((len(va), len(va)))
    for i in range(len(va)):
        for j in range(len(va)):
            distance = math.dist(va[i], va[j])
            weights[i, j] = 0.0 if math.isnan(distance) else max(0.0, 1 - distance / max_distance)
    return weights


# ------------------------------------------------------------------------------------ values


@pytest.mark.parametrize("chunk", [None, 1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("temperature", "max_distance", "expected"), GOLDEN)
def test_golden_values(
    temperature: float, max_distance: float, expected: float, dtype: torch.dtype, chunk: int | None
) -> None:
    z, va = torch.tensor(GOLDEN_Z, dtype=dtype), torch.tensor(GOLDEN_VA, dtype=dtype)
    loss = af.methods.emod.va_contrastive_loss(z, va, max_distance, temperature, chunk=chunk)
    assert float(loss) == pytest.approx(expected, abs=2e-6)
    assert loss.dtype == dtype


def test_weights_between_emotions() -> None:
    va = torch.tensor(plane_to_emod(to_valence_arousal(WORDS, None, "emod")))
    np.testing.assert_allclose(pair_weights(va, 5.0), WEIGHTS, atol=5e-4)


def test_fear_and_anger_lie_on_one_point() -> None:
    va = torch.tensor(plane_to_emod(to_valence_arousal(["fear", "anger"], None, "emod")))
    assert torch.equal(pair_weights(va, 5.0), torch.ones(2, 2, dtype=va.dtype))


@pytest.mark.parametrize("chunk", [None, 4])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_as_pair_by_pair(temperature: float, chunk: int | None) -> None:
    z, va = on_sphere(14, 6, 1), places(14, 2)
    va[3] = torch.nan  # not known
    va[5:7, 0] = torch.tensor([-4.0, 4.0])
    weights = plain_weights(va.numpy(), 2.0)
    expected = plain_loss(z.numpy(), weights, temperature)
    loss = va_contrastive_loss(z, va, 2.0, temperature, chunk=chunk)
    assert float(loss) == pytest.approx(expected, rel=1e-12)
    hard = hard_va_loss(z, va, "near", 2.0, temperature, chunk=chunk)
    assert float(hard) == pytest.approx(plain_loss(z.numpy(), weights > 0, temperature), rel=1e-12)


def test_equal_projections() -> None:
    z = torch.ones(9, 4, dtype=torch.float64) / 2
    assert float(va_contrastive_loss(z, places(9, 0), 20.0)) == pytest.approx(math.log(8))


def test_an_anchor_alone_counts_nothing_but_is_counted() -> None:
    z = torch.eye(3, dtype=torch.float64)
    va = torch.tensor([[0.0, 0.0], [0.0, 0.0], [4.0, 4.0]], dtype=torch.float64)
    # two anchors see one positive and one negative, all at right angles: log 2 each; the third 0
    assert float(va_contrastive_loss(z, va)) == pytest.approx(2 * math.log(2) / 3)
    assert float(va_contrastive_loss(z[1:], va[1:])) == 0.0


def test_only_relative_places_and_angles_matter() -> None:
    z, va = on_sphere(12, 5, 3), places(12, 4)
    loss = float(va_contrastive_loss(z, va))
    turn = torch.linalg.qr(on_sphere(5, 5, 5))[0]
    order = torch.randperm(12, generator=torch.Generator().manual_seed(6))
    assert float(va_contrastive_loss(z @ turn, va + 3)) == pytest.approx(loss)
    assert float(va_contrastive_loss(z[order], va[order])) == pytest.approx(loss)


def test_far_pairs_are_pushed_apart_and_near_ones_pulled() -> None:
    z = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.1], [0.9, 0.2]]), dim=1)
    z.requires_grad_()
    va = torch.tensor([[4.0, 4.0], [4.0, 3.0], [-4.0, -4.0]])
    (down,) = torch.autograd.grad(va_contrastive_loss(z, va, temperature=0.5), z)
    stepped = (z - 0.1 * down).detach()
    before, after = (z @ z.T).detach(), stepped @ stepped.T
    assert after[0, 1] > before[0, 1]
    assert after[0, 2] < before[0, 2]


# ------------------------------------------------------------------------------------ other losses


def test_hard_rules_follow_the_grid() -> None:
    values = torch.linspace(-4, 4, 33, dtype=torch.float64)
    va = torch.cartesian_prod(values, values)[torch.randperm(1089)[:60]]
    va = torch.cat([va, torch.tensor([[4.0, 4.0], [-4.0, 4.0], [torch.nan, 0.0]])])
    z = on_sphere(len(va), 4, 0)
    regions = torch.from_numpy(emod_regions(emod_to_plane(va)))
    assert float(hard_va_loss(z, va, "region", 5.0, 0.2)) == pytest.approx(
        float(supcon_loss(z, regions, 0.2)), rel=1e-12
    )
    known = va[:-1].numpy()
    cells = np.minimum(np.floor(known + 4), 8) @ [1, 100]
    cells = torch.from_numpy(np.append(cells, -1))
    assert float(hard_va_loss(z, va, "cell", 5.0, 0.2)) == pytest.approx(
        float(supcon_loss(z, cells, 0.2)), rel=1e-12
    )


@pytest.mark.parametrize("chunk", [None, 5])
def test_supcon_pair_by_pair(chunk: int | None) -> None:
    z = on_sphere(12, 4, 1)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 7, -1, -1, 0])
    same = (labels[:, None] == labels) & (labels[:, None] >= 0)
    expected = plain_loss(z.numpy(), same.numpy().astype(float), 0.3)
    assert float(supcon_loss(z, labels, 0.3, chunk=chunk)) == pytest.approx(expected, rel=1e-12)


def test_soft_weights_become_supcon_where_places_coincide() -> None:
    z, labels = on_sphere(12, 4, 1), torch.arange(12) % 3
    va = torch.tensor([[-4.0, -4.0], [4.0, -4.0], [0.0, 4.0]], dtype=torch.float64)[labels]
    assert float(va_contrastive_loss(z, va)) == pytest.approx(float(supcon_loss(z, labels, 0.07)))


@pytest.mark.parametrize("chunk", [None, 3])
def test_instance_loss_of_orthogonal_windows(chunk: int | None) -> None:
    z = torch.eye(5, dtype=torch.float64)
    expected = math.log(math.exp(1 / 0.5) + 8) - 1 / 0.5
    assert float(instance_loss(z, z, 0.5, chunk=chunk)) == pytest.approx(expected)


# ------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("chunk", [None, 3, 7])
def test_gradients_are_those_of_finite_differences(chunk: int | None) -> None:
    z, va = on_sphere(8, 3, 7).requires_grad_(), places(8, 8)
    va[2] = torch.nan

    def loss(z: torch.Tensor) -> torch.Tensor:
        return 3 * va_contrastive_loss(z, va, 3.0, 0.2, chunk=chunk)

    assert torch.autograd.gradcheck(loss, (z,))


@pytest.mark.parametrize("chunk", [1, 17, 64, 100])
def test_in_chunks_as_in_one_piece(chunk: int) -> None:
    z, va = on_sphere(64, 16, 1, torch.float32), places(64, 2, torch.float32)
    found = []
    for size in (None, chunk):
        own = z.clone().requires_grad_()
        loss = va_contrastive_loss(own, va, chunk=size)
        loss.backward()
        found.append((loss.item(), own.grad))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)


class _Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation gave."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.numel = max(self.numel, value.numel())
        return result


@pytest.mark.parametrize("kind", ["soft", "near", "cell", "instance"])
def test_chunks_bound_memory(kind: str) -> None:
    n, chunk = 512, 16
    z, va = on_sphere(n, 8, 1, torch.float32).requires_grad_(), places(n, 2, torch.float32)
    with _Largest() as largest:
        if kind == "soft":
            loss = va_contrastive_loss(z, va, chunk=chunk)
        elif kind == "instance":
            loss = instance_loss(z[: n // 2], z[n // 2 :], 0.1, chunk=chunk)
        else:
            loss = hard_va_loss(z, va, kind, 5.0, 0.1, chunk=chunk)  # type: ignore[arg-type]
        loss.backward()
    assert largest.numel <= chunk * n
    assert z.grad is not None


# ------------------------------------------------------------------------------------ precision


@pytest.mark.parametrize("chunk", [None, 8])
def test_autocast_does_not_touch_the_loss(chunk: int | None) -> None:
    z, va = on_sphere(24, 16, 1, torch.float32), places(24, 2, torch.float32)
    expected = va_contrastive_loss(z, va, chunk=chunk)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(va_contrastive_loss(z, va, chunk=chunk), expected)


@pytest.mark.parametrize("chunk", [None, 8])
def test_bfloat16_projections(chunk: int | None) -> None:
    z = on_sphere(24, 16, 1, torch.float32).bfloat16()
    va = places(24, 2, torch.float32)
    own, wide = z.clone().requires_grad_(), z.float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = va_contrastive_loss(own, va, chunk=chunk)
        loss.backward()
    expected = va_contrastive_loss(wide, va, chunk=chunk)
    expected.backward()
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    assert own.grad.dtype == torch.bfloat16
    torch.testing.assert_close(own.grad, wide.grad.bfloat16())


def test_near_places_keep_their_digits() -> None:
    va = torch.tensor([[3.9, 3.9]]).repeat(40, 1)
    va[1] += torch.tensor([1e-5, 0.0])
    weights = pair_weights(va, 5.0)
    assert weights[0, 2] == 1.0
    assert float(1 - weights[0, 1]) == pytest.approx(2e-6, rel=0.05)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_extreme_similarities_stay_finite(scale: float) -> None:
    z = (scale * on_sphere(20, 2, 1, torch.float32)).requires_grad_()
    loss = va_contrastive_loss(z, places(20, 2, torch.float32), temperature=0.01)
    loss.backward()
    assert math.isfinite(loss.item())
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())


# ------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda z, va: va_contrastive_loss(z, va[:2]), "'va' has shape"),
        (lambda z, va: va_contrastive_loss(z, va, 0.0), "'max_distance'"),
        (lambda z, va: va_contrastive_loss(z, va, temperature=-1), "'temperature'"),
        (lambda z, va: va_contrastive_loss(z, va, chunk=0), "'chunk'"),
        (lambda z, va: va_contrastive_loss(z[:1], va[:1]), "at least two rows"),
        (lambda z, va: hard_va_loss(z, va, "cel", 5.0, 0.1), "Did you mean 'cell'"),
        (lambda z, va: supcon_loss(z, torch.zeros(3), 0.1), "'labels' has shape"),
        (lambda z, va: instance_loss(z, z[:2], 0.1), "two views"),
        (lambda z, va: pair_weights(va, math.nan), "'max_distance'"),
    ],
)
def test_refusals(call: object, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        call(torch.eye(4), torch.zeros(4, 2))  # type: ignore[operator]


# ------------------------------------------------------------------------------------ processes

TWO_PROCESSES = """
import json, sys
import torch
import torch.distributed as dist
from affectrum.methods.emod.losses import gather_rows, va_contrastive_loss

rank, meeting, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=2)
generator = torch.Generator().manual_seed(0)
x = torch.randn(11, 6, generator=generator, dtype=torch.float64)
va = 8 * torch.rand(11, 2, generator=generator, dtype=torch.float64) - 4
weight = torch.randn(6, 4, generator=generator, dtype=torch.float64).requires_grad_()
own = slice(0, 7) if rank == 0 else slice(7, 11)  # shares of different sizes
z = torch.nn.functional.normalize(x[own] @ weight, dim=1)
loss = va_contrastive_loss(gather_rows(z), gather_rows(va[own]), chunk=4)
loss.backward()
dist.all_reduce(weight.grad)
half = gather_rows(torch.full((2, 3), float(rank), dtype=torch.bfloat16, requires_grad=True))
torch.autograd.backward(half.float().sum())
whole = gather_rows(torch.arange(rank + 1))
empty = gather_rows(torch.zeros(3 * rank, 2))
found = {
    "loss": loss.item(),
    "gradient": (weight.grad / 2).tolist(),
    "half": half.tolist(),
    "integers": whole.tolist(),
    "empty": list(empty.shape),
}
with open(out, "w") as file:
    json.dump(found, file)
dist.destroy_process_group()
"""


def test_two_processes_are_one(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(rank), tmp_path / "meeting", tmp_path / f"{rank}.json"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(11, 6, generator=generator, dtype=torch.float64)
    va = 8 * torch.rand(11, 2, generator=generator, dtype=torch.float64) - 4
    weight = torch.randn(6, 4, generator=generator, dtype=torch.float64).requires_grad_()
    loss = va_contrastive_loss(torch.nn.functional.normalize(x @ weight, dim=1), va)
    loss.backward()
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found["loss"] == pytest.approx(loss.item(), rel=1e-12)
        np.testing.assert_allclose(found["gradient"], weight.grad, rtol=1e-9, atol=1e-12)
        assert found["half"] == [[0.0] * 3] * 2 + [[1.0] * 3] * 2
        assert found["integers"] == [0, 0, 1]
        assert found["empty"] == [3, 2]


def test_one_process_gathers_its_own() -> None:
    z = torch.eye(3, requires_grad=True)
    assert gather_rows(z) is z
