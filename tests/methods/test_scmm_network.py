from __future__ import annotations

import pytest
import torch
from torch import nn

from affectrum.errors import ConfigError
from affectrum.methods.scmm.network import SCMMNetwork
from affectrum.methods.scmm.pretraining import make_network


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def plain_encoder(network: SCMMNetwork) -> nn.Sequential:
    """The same weights in torch's own layers."""
    layers: list[nn.Module] = []
    for block in network.encoder.blocks:
        convolution, norm = block.convolution, block.normalisation
        twin_convolution = nn.Conv1d(
            convolution.in_channels, convolution.out_channels, 8, padding=4, bias=False
        )
        twin_norm = nn.BatchNorm1d(convolution.out_channels)
        twin_convolution.load_state_dict(convolution.state_dict())
        twin_norm.load_state_dict(norm.state_dict())
        layers += [twin_convolution, twin_norm, nn.ReLU(), nn.MaxPool1d(2, stride=2, padding=1)]
    return nn.Sequential(*layers)


def test_published_sizes() -> None:
    network = SCMMNetwork(62)
    assert network.encoder.lengths == (6, 4, 5, 3, 4, 3)
    assert network.n_features == 384
    assert count(network.encoder) == 98_240
    assert count(network.projector) == 131_968
    assert count(network.decoder) == 119_350
    assert count(network.classifier_head(3)) == 49_667
    assert count(network) + 2 == 349_560
    assert count(SCMMNetwork(32)) + 2 == 284_130
    assert SCMMNetwork(62, 4).n_features == 384


@pytest.mark.parametrize(
    ("n_channels", "n_bands"), [(62, 5), (62, 4), (32, 5), (3, 1), (14, 16), (5, 40)]
)
def test_equal_to_torchs_layers_in_value_gradient_and_statistics(
    n_channels: int, n_bands: int
) -> None:
    network = make_network(n_channels, n_bands, 32, 1).double()
    plain = plain_encoder(network).double()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(10, n_channels, n_bands, generator=generator, dtype=torch.float64)
    for training in (True, False):
        network.train(training)
        plain.train(training)
        mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        found, wanted = network.encoder(mine), plain(theirs)
        assert found.shape == wanted.shape == (10, 32, network.encoder.lengths[-1])
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9)
        (found**3).sum().backward()
        (wanted**3).sum().backward()
        assert mine.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-9)
    for number, block in enumerate(network.encoder.blocks):
        twin_convolution, twin_norm = plain[4 * number], plain[4 * number + 1]
        torch.testing.assert_close(
            block.convolution.weight.grad, twin_convolution.weight.grad, rtol=1e-9, atol=1e-9
        )
        torch.testing.assert_close(block.normalisation.running_var, twin_norm.running_var)
        torch.testing.assert_close(block.normalisation.running_mean, twin_norm.running_mean)


def test_float32_error_within_three_times_the_plain_layers() -> None:
    network = make_network(62, 5, 128, 2)
    x = torch.randn(512, 62, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = plain_encoder(network)(x)
        exact = plain_encoder(network).double()(x.double())
        found = network.encoder(x)
    assert (found - exact).abs().max() <= 3 * (plain - exact).abs().max()


def test_a_dry_pass_leaves_statistics_and_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    network = make_network(8, 5, 16, 3)
    assert torch.equal(torch.get_rng_state(), before)
    norm = network.encoder.blocks[0].normalisation
    assert norm.num_batches_tracked == 0
    assert norm.running_mean.abs().max() == 0
    assert network.encoder.training
    again = make_network(8, 5, 16, 3)
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    other = make_network(8, 5, 16, 4)
    assert not torch.equal(network.decoder.weight, other.decoder.weight)


@pytest.mark.parametrize("n_classes", [2, 3, 4, 9])
def test_any_number_of_classes(n_classes: int) -> None:
    network = SCMMNetwork(6, 5, width=16)
    h, z = network(torch.zeros(7, 6, 5))
    assert z.shape == (7, 16)
    assert network.decoder(h).shape == (7, 30)
    for activation in ("sigmoid", "relu"):
        assert network.classifier_head(n_classes, activation)(h).shape == (7, n_classes)


def test_bad_sizes_are_named() -> None:
    with pytest.raises(ConfigError, match="n_channels=0"):
        SCMMNetwork(0)
    with pytest.raises(ConfigError, match="width=30"):
        SCMMNetwork(4, 5, width=30)
    with pytest.raises(ConfigError, match="at least 2 classes; received 1"):
        SCMMNetwork(4).classifier_head(1)
