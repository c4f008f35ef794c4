"""Many SCMM classifiers of one shape as one computation.

Fine-tuning on each target subject is a small fit: a step spends more time between operations than
in them. Here the weights of all subjects stand in one tensor per layer, subjects first, so that one
operation serves them all. Each subject keeps its own batches, batch statistics, gradients and
optimiser; the numbers are those of fits one by one up to rounding. A batch that is shorter for
some subjects is padded, and padded rows are left out of statistics and loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable
from torch.optim.adam import adam

from affectrum.methods.scmm.finetuning import SCMMClassifier
from affectrum.methods.scmm.network import ConvolutionBlock

__all__ = ["StackedAdam", "StackedClassifier", "can_stack"]


def can_stack(classifiers: Sequence[SCMMClassifier]) -> bool:
    """Whether classifiers can be trained as one: same layers, dense convolutions."""
    first = classifiers[0]
    shapes = [p.shape for p in first.parameters()]
    return all(block.is_dense for block in _blocks(first)) and all(
        [p.shape for p in other.parameters()] == shapes
        and other.freeze_encoder == first.freeze_encoder
        for other in classifiers
    )


def _blocks(classifier: SCMMClassifier) -> list[ConvolutionBlock]:
    return [
        block for block in classifier.network.encoder.blocks if isinstance(block, ConvolutionBlock)
    ]


class _NormalisePoolReLU(torch.autograd.Function):
    """Batch normalisation, max pooling and ReLU of all subjects, statistics of this batch.

    Maps are (subjects, rows, length, channels). `valid` is (subjects, rows, 1, 1), 1 for rows
    that count, or None if all do; `counts` the rows times length that count, (subjects, 1, 1, 1).
    """

    @staticmethod
    def forward(
        ctx: Any,
        maps: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        eps: float,
        counts: torch.Tensor,
        valid: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        kept = maps if valid is None else maps * valid
        mean = kept.sum(dim=(1, 2), keepdim=True) / counts
        centered = maps - mean
        if valid is not None:
            centered.mul_(valid)
        variance = centered.square().sum(dim=(1, 2), keepdim=True) / counts
        scale = torch.rsqrt(variance + eps)
        weight, bias = weight[:, None, None, :], bias[:, None, None, :]
        normal = torch.addcmul(bias, centered, weight * scale)
        pooled = _pool_relu(normal)
        ctx.save_for_backward(centered, normal, pooled, weight, scale, counts, valid)
        ctx.mark_non_differentiable(mean, variance)
        return pooled, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        centered, normal, pooled, weight, scale, counts, valid = ctx.saved_tensors
        length = normal.shape[2]
        n_pairs = (length - 1) // 2
        passed = gradients[0] * (pooled > 0)
        down = torch.empty_like(normal)
        down[:, :, 0] = passed[:, :, 0]
        left = slice(1, 2 * n_pairs, 2)
        right = slice(2, 2 * n_pairs + 1, 2)
        if n_pairs:
            of_pairs = passed[:, :, 1 : n_pairs + 1]
            # equal neighbours: the gradient goes to the left one, as in torch's pooling
            to_left = of_pairs * (normal[:, :, left] >= normal[:, :, right])
            down[:, :, left] = to_left
            torch.sub(of_pairs, to_left, out=down[:, :, right])
        if length % 2 == 0:
            down[:, :, -1] = passed[:, :, -1]
        bias_gradient = down.sum(dim=(1, 2), keepdim=True)
        along = (down * centered).sum(dim=(1, 2), keepdim=True)
        inner = torch.addcmul(bias_gradient / counts, centered, scale.square() * along / counts)
        down.sub_(inner).mul_(weight * scale)
        if valid is not None:
            down.mul_(valid)
        return down, (along * scale).flatten(1), bias_gradient.flatten(1), None, None, None


def _pool_relu(maps: torch.Tensor) -> torch.Tensor:
    """Max pooling of pairs between single ends, then ReLU, over the third axis."""
    length = maps.shape[2]
    pooled = maps.new_empty(*maps.shape[:2], length // 2 + 1, maps.shape[3])
    n_pairs = (length - 1) // 2
    pooled[:, :, 0] = maps[:, :, 0]
    torch.maximum(
        maps[:, :, 1 : 2 * n_pairs : 2],
        maps[:, :, 2 : 2 * n_pairs + 1 : 2],
        out=pooled[:, :, 1 : n_pairs + 1],
    )
    if length % 2 == 0:
        pooled[:, :, -1] = maps[:, :, -1]
    return pooled.clamp_(min=0)


class StackedClassifier:
    """Weights of several classifiers in one tensor per layer.

    The classifiers given share their memory with the stack while it lives, so that each of them
    scores windows with its present weights; `release` gives them memory of their own again.

    Parameters
    ----------
    classifiers : sequence of SCMMClassifier
        For which `can_stack` holds.
    """

    def __init__(self, classifiers: Sequence[SCMMClassifier]) -> None:
        self.classifiers = list(classifiers)
        first = classifiers[0]
        self.freeze_encoder = first.freeze_encoder
        self.blocks = _blocks(first)
        self.activation = first.head[1]  # type: ignore[index]
        self.parameters: dict[str, torch.Tensor] = {}
        self.buffers: dict[str, torch.Tensor] = {}
        wanted = [
            name
            for name, _ in first.named_parameters()
            if name.startswith(("network.encoder.", "head."))
        ]
        everything = [dict(classifier.named_parameters()) for classifier in classifiers]
        for name in wanted:
            stacked = torch.stack([named[name].detach() for named in everything])
            rows = stacked
            if name.endswith("convolution.weight"):
                # (subjects, n_in, taps, n_out) with one tap more, all zero: the dense matrix is
                # then one selection of taps
                stacked = F.pad(stacked.permute(0, 2, 3, 1), (0, 0, 0, 1)).contiguous()
                rows = stacked[:, :, :-1].permute(0, 3, 1, 2)
            for row, named in zip(rows, everything, strict=True):
                named[name].data = row
            trained = name.startswith("head.") or not self.freeze_encoder
            self.parameters[name] = stacked.requires_grad_(trained)
        held = [dict(classifier.named_buffers()) for classifier in classifiers]
        for name in held[0]:
            if name.startswith("network.encoder.") and not name.endswith("placement"):
                stacked = torch.stack([named[name] for named in held])
                for row, classifier in zip(stacked, classifiers, strict=True):
                    _set_buffer(classifier, name, row)
                self.buffers[name] = stacked

    @property
    def trained(self) -> dict[str, torch.Tensor]:
        """The tensors that are trained, by name."""
        return {name: p for name, p in self.parameters.items() if p.requires_grad}

    def release(self) -> None:
        """Give each classifier memory of its own."""
        for classifier in self.classifiers:
            for name, parameter in classifier.named_parameters():
                if name in self.parameters:
                    parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
            for name, buffer in list(classifier.named_buffers()):
                if name in self.buffers:
                    _set_buffer(classifier, name, buffer.clone())

    def logits(
        self, x: torch.Tensor, n_active: int, n_rows: torch.Tensor, valid: torch.Tensor | None
    ) -> torch.Tensor:
        """Map windows to logits in training mode; running statistics move.

        Parameters
        ----------
        x : torch.Tensor, shape (n_active, rows, n_channels * n_bands)
            Windows of the first `n_active` subjects.
        n_active : int
            Subjects that take this step.
        n_rows : torch.Tensor, shape (n_active,)
            Rows that count.
        valid : torch.Tensor, shape (n_active, rows), or None
            1 for rows that count; None if all do.

        Returns
        -------
        torch.Tensor, shape (n_active, rows, n_classes)
            Logits; those of padded rows mean nothing.
        """
        if self.freeze_encoder:
            with torch.no_grad():
                h = self._encode(x, n_active, n_rows, valid)
        else:
            h = self._encode(x, n_active, n_rows, valid)
        for layer in ("0", "2"):
            weight = self.parameters[f"head.{layer}.weight"][:n_active]
            bias = self.parameters[f"head.{layer}.bias"][:n_active]
            h = torch.baddbmm(bias[:, None, :], h, weight.transpose(1, 2))
            if layer == "0":
                h = self.activation(h)
        return h

    def _encode(
        self, x: torch.Tensor, n_active: int, n_rows: torch.Tensor, valid: torch.Tensor | None
    ) -> torch.Tensor:
        mask = None if valid is None else valid[:, :, None, None]
        for number, block in enumerate(self.blocks):
            where = f"network.encoder.blocks.{number}"
            weight = self.parameters[f"{where}.convolution.weight"][:n_active]
            apply: Any = _DenseWeight.apply
            dense = apply(weight, block.placement, block.length_in, block.length_convolved)
            maps = torch.bmm(x, dense).view(*x.shape[:2], block.length_convolved, -1)
            pooled = self._normalise(maps, f"{where}.normalisation", block, n_rows, mask)
            # rows of the next dense matrix, and embeddings, are ordered (channel, place)
            x = pooled.transpose(2, 3).flatten(2)
        return x

    def _normalise(
        self,
        maps: torch.Tensor,
        where: str,
        block: ConvolutionBlock,
        n_rows: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        n_active = len(maps)
        norm = block.normalisation
        weight = self.parameters[f"{where}.weight"][:n_active]
        bias = self.parameters[f"{where}.bias"][:n_active]
        mean_so_far = self.buffers[f"{where}.running_mean"][:n_active]
        var_so_far = self.buffers[f"{where}.running_var"][:n_active]
        if self.freeze_encoder:
            scale = weight * torch.rsqrt(var_so_far + norm.eps)
            shift = bias - mean_so_far * scale
            return _pool_relu(maps * scale[:, None, None, :] + shift[:, None, None, :])
        counts = (n_rows * maps.shape[2]).to(maps.dtype)[:, None, None, None]
        apply: Any = _NormalisePoolReLU.apply
        pooled, mean, variance = apply(maps, weight, bias, norm.eps, counts, mask)
        with torch.no_grad():
            share = 0.1 if norm.momentum is None else norm.momentum
            unbiased = variance * (counts / (counts - 1).clamp(min=1))
            mean_so_far.lerp_(mean.flatten(1), share)
            var_so_far.lerp_(unbiased.flatten(1), share)
            self.buffers[f"{where}.num_batches_tracked"][:n_active] += 1
        return pooled  # type: ignore[no-any-return]


def _set_buffer(classifier: nn.Module, name: str, value: torch.Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    classifier.get_submodule(owner)._buffers[leaf] = value


class _DenseWeight(torch.autograd.Function):
    """`ConvolutionBlock.dense_weight` of all subjects, rows ordered (channel, place).

    From (subjects, n_in, taps + 1, n_out) to (subjects, n_in * length, length convolved * n_out).
    """

    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, placement: torch.Tensor, length: int, convolved: int
    ) -> torch.Tensor:
        n, n_in, n_taps, n_out = weight.shape
        ctx.sizes = (n_taps, length, convolved)
        ctx.taps = placement.view(length, convolved)
        placed = weight.index_select(2, placement)
        return placed.view(n, n_in * length, convolved * n_out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        n_taps, length, convolved = ctx.sizes
        given = gradients[0]
        n = given.shape[0]
        parts = given.view(n, -1, length, convolved, given.shape[2] // convolved)
        total = parts.new_zeros(n, parts.shape[1], n_taps, parts.shape[4])
        # from one place to the next all taps move on by one
        for place in range(length):
            taps = ctx.taps[place].tolist()
            kept = [q for q, tap in enumerate(taps) if tap < n_taps - 1]
            first, last = kept[0], kept[-1]
            total[:, :, taps[last] : taps[first] + 1] += parts[:, :, place, first : last + 1].flip(
                2
            )
        return total, None, None, None


class StackedAdam:
    """Adam (Kingma and Ba, ICLR 2015) of subjects that take different numbers of steps.

    torch's fused Adam on ranges of subjects that have taken equally many steps at one rate: an
    optimiser of torch steps all of a tensor or nothing of it.

    Parameters
    ----------
    parameters : list of torch.Tensor
        Each with the subjects in front.
    betas : tuple of float
        Decay of the two moments.
    weight_decay : float
        L2 penalty, added to the gradient.
    """

    def __init__(
        self, parameters: list[torch.Tensor], betas: tuple[float, float], weight_decay: float
    ) -> None:
        self.parameters = parameters
        self.betas = betas
        self.weight_decay = weight_decay
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]
        self.steps = [0] * len(parameters[0])

    @torch.no_grad()
    def step(self, n_active: int, rates: Sequence[float]) -> None:
        """Update the first `n_active` subjects.

        Parameters
        ----------
        n_active : int
            Subjects that take this step.
        rates : sequence of float
            Learning rate of each subject.
        """
        begin = 0
        while begin < n_active:
            state = (self.steps[begin], rates[begin])
            end = begin + 1
            while end < n_active and (self.steps[end], rates[end]) == state:
                end += 1
            self._step_range(begin, end, rates[begin])
            begin = end

    def _step_range(self, begin: int, end: int, rate: float) -> None:
        device = self.parameters[0].device
        adam(
            [p[begin:end] for p in self.parameters],
            [p.grad[begin:end] for p in self.parameters if p.grad is not None],
            [m[begin:end] for m in self.first],
            [v[begin:end] for v in self.second],
            [],
            [torch.tensor(float(self.steps[begin]), device=device) for _ in self.parameters],
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )
        self.steps[begin:end] = [self.steps[begin] + 1] * (end - begin)
