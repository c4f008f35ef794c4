"""SCMM with its idea taken out: the same network from scratch, and as a denoising autoencoder.

Both are SCMM with switches set, so that network, scaling, batches, optimiser and fine-tuning are
the very same code, and a difference in score is the difference in pre-training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from affectrum.methods.base import MethodConfig
from affectrum.methods.baselines.arms import ARM_GRANTS
from affectrum.methods.registry import register
from affectrum.methods.scmm.config import SCMMConfig
from affectrum.methods.scmm.estimator import SCMM

if TYPE_CHECKING:
    from affectrum.protocols import Access

__all__ = ["DenoisingAutoencoder", "SCMMScratch"]

Arm = Literal["auto", "calibration", "source", "both"]


class _ReducedConfig(SCMMConfig):
    """SCMM's parameters; ``arm``, as the other baselines call it, is ``finetune_on``."""

    finetune_on: Arm = Field(
        "auto",
        description="arm, the labelled windows to fine-tune on: calibration, source, both, or auto "
        "(calibration where the protocol grants it, else source)",
    )

    @model_validator(mode="before")
    @classmethod
    def _arm_is_finetune_on(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "arm" not in values:
            return values
        rest = {name: value for name, value in values.items() if name != "arm"}
        return {**rest, "finetune_on": values["arm"]}

    @property
    def arm(self) -> str:
        """The arm, as in the other baselines."""
        return str(self.finetune_on)


class ScratchConfig(_ReducedConfig):
    """Parameters of SCMM's network from scratch."""

    pretraining: Literal[False] = Field(False, description="always off here")


class AutoencoderConfig(_ReducedConfig):
    """Parameters of the denoising autoencoder."""

    pretraining: Literal[True] = Field(True, description="always on here")
    contrastive: Literal[False] = Field(False, description="always off here")
    aggregator: Literal[False] = Field(
        False, description="always off here: each window is rebuilt from itself"
    )
    reconstruction: Literal[True] = Field(True, description="always on here")
    loss_weighting: Literal["automatic", "equal"] = Field(
        "equal", description="there is one loss, so nothing to balance"
    )
    search: int = Field(0, ge=0, description="what SCMM searches is not part of this objective")


class _Reduced(SCMM):
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"strict": {}}
    transfers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    transfer_presets: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[tuple[str, ...]] = ()

    @property
    def label(self) -> str:
        """Name for tables, with the arm where one was chosen."""
        arm = str(self.config.finetune_on)
        return self.name if arm == "auto" else f"{self.name} [{arm}]"

    def check_access(self, access: Access) -> None:
        """Refuse an access that lacks what the configured arm needs (AccessError)."""
        arm = str(self.config.finetune_on)
        if arm == "auto":
            granted = all(need in access.grants for need in ARM_GRANTS["calibration"])
            arm = "calibration" if granted else "source"
        access.require(ARM_GRANTS[arm], f"{self.name} [{arm}]")
        super().check_access(access)


@register
class SCMMScratch(_Reduced):
    """SCMM's network, trained from scratch by SCMM's fine-tuning recipe.

    What is left of SCMM's score without any pre-training.
    """

    Config: ClassVar[type[MethodConfig]] = ScratchConfig
    name: ClassVar[str] = "scmm-scratch"
    title: ClassVar[str] = "SCMM's network from scratch"
    description: ClassVar[str] = (
        "the network of SCMM with its fine-tuning recipe, from random weights: no pre-training"
    )
    sees: ClassVar[str] = "labelled windows of its arm"
    reference: ClassVar[str] = "ablation of SCMM, doi:10.1145/3746027.3755798"


@register
class DenoisingAutoencoder(_Reduced):
    """SCMM's encoder and decoder, pre-trained to undo masking, then fine-tuned as SCMM.

    A masked window goes through encoder and decoder and is compared with the original by mean
    squared error; no window knows of another one. What is left of SCMM's score without the
    contrastive loss and without rebuilding from neighbours. Masks, network, optimiser, steps and
    fine-tuning are SCMM's.

    References
    ----------
    Vincent et al. (2008), doi:10.1145/1390156.1390294.
    """

    Config: ClassVar[type[MethodConfig]] = AutoencoderConfig
    name: ClassVar[str] = "denoising-autoencoder"
    title: ClassVar[str] = "Denoising autoencoder"
    description: ClassVar[str] = (
        "SCMM's network pre-trained to rebuild masked source windows one by one, then fine-tuned"
    )
    sees: ClassVar[str] = "source signals without labels; labelled windows of its arm"
    reference: ClassVar[str] = (
        "P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol. Extracting and composing robust "
        "features with denoising autoencoders. ICML 2008. doi:10.1145/1390156.1390294"
    )
