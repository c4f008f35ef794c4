"""EMOD's parameters and presets.

Every difference between the paper, its released code and this project that changes a number is a
named switch here. Source: arXiv:2511.05863 (AAAI-26) and its released code, commit 60073cb.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from affectrum.methods.base import MethodConfig

__all__ = ["BACKBONE_FIELDS", "PRESETS", "PRETRAIN_FIELDS", "PRETRAIN_VERSION", "EMODConfig"]

# Changes when pre-training computes otherwise, so that stored weights of older code are not taken
# for new ones.
PRETRAIN_VERSION = 1


class EMODConfig(MethodConfig):
    """Parameters of EMOD; the defaults are the preset ``strict``.

    Windows are volts at any rate, length and electrode set; the method converts to microvolts
    inside itself.
    """

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where to compute; auto takes CUDA if there is one"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="bfloat16: mixed precision for the backbone; heads and loss stay in float32",
    )

    # backbone
    width: int = Field(128, ge=8, multiple_of=8, description="features of a token")
    depth: int = Field(3, ge=0, description="axial blocks")
    head_width: int = Field(8, ge=1, description="features of an attention head")
    tokens_per_second: int = Field(5, ge=1, description="tokens that a second becomes")
    kernel: int = Field(25, ge=1, description="samples (and bins) of the convolutions")
    layout: Literal["correct", "released"] = Field(
        "correct",
        description="released: temporal attention over slices of features, as the released code "
        "does by a missing transpose; needed to load its weights",
    )
    relative: Literal["query", "bias", "none"] = Field(
        "query",
        description="relative temporal term: learnt vectors met by the query (as run), a learnt "
        "number per head and offset, or none",
    )
    max_offset: int = Field(
        49, ge=1, description="largest offset of the relative term; farther ones are clamped to it"
    )
    temporal_tokens: bool = Field(True, description="use the branch on the signal")
    frequency_tokens: Literal["bins", "hertz", "none"] = Field(
        "bins",
        description="the branch on the spectrum: cut by bin index as published, cut and sampled in "
        "hertz alike at every rate, or none",
    )
    spectrum: Literal["real", "magnitude", "log-power"] = Field(
        "real",
        description="of the Fourier transform; real as published, which depends on the phase",
    )
    max_frequency: float = Field(
        45.0, gt=0, description="hertz: upper end in Hz of the frequency tokens"
    )
    electrodes: Literal["names", "positions", "none"] = Field(
        "names",
        description="electrode embedding: learnt by name, computed from positions on the head "
        "(so electrodes never seen have one), or none",
    )
    electrode_table: Literal["canonical", "released"] = Field(
        "canonical",
        description="canonical: T3 is T7 and so on; released: the names as the code numbers them",
    )
    spatial_attention: bool = Field(True, description="attention over electrodes")
    temporal_attention: bool = Field(True, description="attention over time")
    checkpointing: bool = Field(
        False, description="compute activations again in the backward pass, to save memory"
    )

    # loss
    objective: Literal["soft-va", "hard-va", "supcon", "instance"] = Field(
        "soft-va",
        description="soft-va: pairs weigh by their distance in the plane; hard-va: same place or "
        "not; supcon: same region of the plane or not; instance: two augmented views, no labels",
    )
    hard_rule: Literal["cell", "region", "near"] = Field(
        "cell",
        description="hard-va: positives share a cell of the 9x9 grid, a region of the 3x3 grid, or "
        "are nearer than max_distance (the paper does not say)",
    )
    max_distance: float = Field(
        5.0, gt=0, description="where soft weights end, in units of -4..4 on both axes"
    )
    temperature: float = Field(0.07, gt=0, description="divides similarities")
    va_table: str | None = Field(
        None,
        description="table that puts emotion words into the plane where words are granted, such as "
        "'emod'; None: what the task's windows carry (and, for the classes of readout 'plane', the "
        "task's table, or 'emod')",
    )

    # sampling
    sampling: Literal["structured", "random"] = Field(
        "structured",
        description="structured: equally often from each corpus and each of nine regions of the "
        "plane; random: windows as they come, in proportion to the corpora's sizes",
    )
    region_order: Literal["reset", "carried"] = Field(
        "reset",
        description="an empty region gives way to the next one, for this corpus only (reset), or "
        "for the following corpora too, as the released code does",
    )
    per_region: int = Field(4, ge=1, description="windows per corpus, region and step")
    augmentation: Literal["none", "released", "views"] = Field(
        "none",
        description="released: one of six at random, three of them nothing; views: noise, gain, "
        "time mask and electrode mask (always used by objective instance)",
    )

    # pre-training
    pretraining: bool = Field(True, description="off: the same network from scratch")
    pretrain_epochs: int = Field(100, ge=1, description="epochs")
    pretrain_steps: int | None = Field(
        None, ge=1, description="steps per epoch; None: as many as visit each window once or so"
    )
    pretrain_rate: float = Field(5e-4, gt=0, description="learning rate of AdamW")
    pretrain_rate_end: float = Field(1e-7, ge=0, description="learning rate that cosine ends at")
    pretrain_decay: float = Field(1e-4, ge=0, description="weight decay of AdamW")
    pretrain_clip: float = Field(3.0, gt=0, description="largest norm of the gradient")
    pretrain_dropout: float = Field(0.1, ge=0, lt=1, description="dropout of the backbone")
    accumulate: int = Field(
        1,
        ge=1,
        description="gradients of so many batches are added before a step; each batch contrasts "
        "its own windows only",
    )
    pretrain_keep: Literal["last", "lowest-loss"] = Field(
        "last", description="which epoch's weights; released: lowest training loss"
    )

    foreign_weights: bool = Field(
        False,
        description="take weights that were pre-trained on other windows than those granted (a "
        "download, another machine); nobody can check what those saw",
    )

    # fine-tuning
    readout: Literal["finetune", "linear-probe", "prototypes", "plane"] = Field(
        "finetune",
        description="how classes are told: a head trained with the backbone; or, on the backbone "
        "as it is, logistic regression, nearest class mean, or the nearest class on the "
        "plane to the valence and arousal of similar source windows (needs no class labels)",
    )
    readout_space: Literal["auto", "backbone", "projection"] = Field(
        "auto",
        description="representation for readouts: mean token, or the pre-training head's unit "
        "vector; auto: mean token for linear-probe and from scratch, else the unit vector",
    )
    plane_windows: int = Field(
        512,
        ge=0,
        description="so many windows, equally from corpora and regions of the plane, teach the "
        "readout of valence and arousal; 0: none",
    )
    head: Literal["linear", "normalised", "pooled", "released", "faced", "seed", "seed-v"] = Field(
        "linear",
        description="linear: mean over electrodes and tokens, one layer, as the paper says; "
        "normalised: the same with batch normalisation between, which learns in few steps; "
        "pooled: the released generic head; faced, seed, seed-v: the released ones of these "
        "corpora; released: the one of the target corpus, or pooled",
    )
    finetune_on: Literal["auto", "calibration", "source", "both"] = Field(
        "auto", description="labels to learn from; auto: calibration if granted, else source"
    )
    freeze_backbone: bool = Field(False, description="train the head only (linear probe)")
    finetune_epochs: int = Field(30, ge=0, description="epochs")
    finetune_batch: int = Field(64, ge=2, description="windows per step")
    finetune_max_steps: int | None = Field(
        None, ge=1, description="budget over all epochs, which get shorter to meet it; None: none"
    )
    finetune_optimizer: Literal["adamw", "adam", "as-released"] = Field(
        "adamw",
        description="of both arms; as-released: Adam with pre-trained weights, AdamW and the "
        "head's rate everywhere from scratch",
    )
    head_rate: float = Field(1e-3, gt=0, description="learning rate of the head")
    backbone_rate: float = Field(5e-4, gt=0, description="learning rate of the backbone")
    finetune_rate_end: float = Field(1e-6, ge=0, description="rate that cosine ends at")
    finetune_decay: float = Field(1e-4, ge=0, description="weight decay")
    finetune_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    finetune_dropout: float = Field(0.25, ge=0, lt=1, description="dropout of backbone and head")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="of the cross-entropy")
    validation_metric: Literal["kappa", "balanced-accuracy"] = Field(
        "kappa", description="by which an epoch is chosen where validation is granted"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.temporal_tokens and self.frequency_tokens == "none":
            raise ValueError(
                "a token needs 'temporal_tokens' or 'frequency_tokens'; both are switched off"
            )
        if self.width % self.head_width:
            raise ValueError(
                f"'width' must be a multiple of 'head_width'; received {self.width} and "
                f"{self.head_width}"
            )
        if self.layout == "released" and self.relative == "bias":
            raise ValueError("layout='released' goes with relative='query' or 'none'")
        if self.readout == "plane" and not self.plane_windows:
            raise ValueError("readout='plane' needs 'plane_windows' above 0")
        if self.readout_space == "projection" and not self.pretraining:
            raise ValueError(
                "readout_space='projection' is the pre-training head's, and pretraining is False"
            )
        return self


# Parameters of the network that pre-training and fine-tuning share.
BACKBONE_FIELDS: tuple[str, ...] = (
    "width",
    "depth",
    "head_width",
    "tokens_per_second",
    "kernel",
    "layout",
    "relative",
    "max_offset",
    "temporal_tokens",
    "frequency_tokens",
    "spectrum",
    "max_frequency",
    "electrodes",
    "electrode_table",
    "spatial_attention",
    "temporal_attention",
    "checkpointing",
)

_NOT_PRETRAINING = (
    "device",
    "checkpointing",
    "pretraining",
    "foreign_weights",
    "readout",
    "readout_space",
    "plane_windows",
    "head",
    "finetune_on",
    "freeze_backbone",
    "finetune_epochs",
    "finetune_batch",
    "finetune_max_steps",
    "finetune_optimizer",
    "head_rate",
    "backbone_rate",
    "finetune_rate_end",
    "finetune_decay",
    "finetune_clip",
    "finetune_dropout",
    "label_smoothing",
    "validation_metric",
)
PRETRAIN_FIELDS: tuple[str, ...] = tuple(
    name for name in EMODConfig.model_fields if name not in _NOT_PRETRAINING
)

# Four corpora and a fine-tuning in minutes on two cores: benchmarks/bench_emod_small.py.
_SMALL: dict[str, Any] = {
    "width": 32,
    "depth": 2,
    "pretrain_epochs": 4,
    "pretrain_steps": 50,
    "per_region": 2,
    "finetune_epochs": 15,
    "finetune_batch": 32,
    "finetune_max_steps": 300,
    "finetune_dropout": 0.1,
    "backbone_rate": 1e-3,
    "head": "normalised",
}

PRESETS: dict[str, dict[str, Any]] = {
    "strict": {},
    "small": _SMALL,
    # The paper with what its text leaves open taken from its code.
    "paper": {
        "finetune_epochs": 100,
        "pretrain_keep": "lowest-loss",
    },
    "released": {
        "layout": "released",
        "electrode_table": "released",
        "region_order": "carried",
        "augmentation": "released",
        "pretrain_keep": "lowest-loss",
        "head": "released",
        "finetune_epochs": 100,
        "finetune_optimizer": "as-released",
    },
}
