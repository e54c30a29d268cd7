"""Which weights of CLIP or SigLIP are trained on a corpus' own captions: last blocks, LoRA, or all of the text tower.

Each way opens some weights of a model whose others stay frozen. A run keeps what was opened; the rest is found again
by the model's name.
"""

from __future__ import annotations

import importlib.util
from typing import Annotated, Any, Literal

from pydantic import Field

from lookhear.core import Section
from lookhear.errors import UserError

__all__ = ["Finetune", "LastBlocks", "LoRA", "LockedImage"]

_READ_OUT = {
    "vision": ("vision_model.post_layernorm.", "vision_model.head.", "visual_projection."),
    "text": ("text_model.final_layer_norm.", "text_model.head.", "text_projection."),
}
"""What follows a tower's last block: the norm, SigLIP's heads, CLIP's maps into the shared space."""


class _Finetune(Section):
    """How the opened weights are trained; the base of the three ways.

    Attributes:
        epochs: passes over the pictures; each meets one of its captions, drawn anew every time.
        batch_size: pictures a step, all negatives of each other unless they are of one group.
        words: how many of the most frequent content words of the held-out captions the bridge is asked.
    """

    epochs: float = Field(3, gt=0)
    batch_size: int = Field(64, ge=2)
    weight_decay: float = Field(0.01, ge=0)
    words: int = Field(100, ge=1)


class LastBlocks(_Finetune):
    """The last ``blocks`` transformer blocks of both towers, and what follows them."""

    mode: Literal["last"] = "last"
    blocks: int = Field(2, ge=1)
    learning_rate: float = Field(1e-5, gt=0)

    def open(self, model: Any, name: str) -> frozenset[str]:
        """Lets the chosen weights of a frozen transformers model ask for a gradient.

        Returns:
            Their names in the model.

        Raises:
            UserError: a tower has fewer blocks.
        """
        chosen: list[str] = []
        for side, read_out in _READ_OUT.items():
            there = len(getattr(model, f"{side}_model").encoder.layers)
            if self.blocks > there:
                raise UserError(
                    f"teacher.finetune.blocks = {self.blocks}, but the {side} tower of {name!r} has {there}",
                    f"Ask for {there} at most.",
                )
            chosen += [f"{side}_model.encoder.layers.{i}." for i in range(there - self.blocks, there)]
            chosen += read_out
        return _open(model, tuple(chosen))


class LoRA(_Finetune):
    """Low-rank adaptation of both towers (Hu et al., 2022, eq. 3): W x + (alpha / rank) B A x, A and B trained.

    B starts at zero, so that the first step sees the model as it was.

    Attributes:
        rank: of B A.
        targets: the linear maps of every block that are adapted; query and value as in the paper (section 4.2).
    """

    mode: Literal["lora"] = "lora"
    rank: int = Field(8, ge=1)
    alpha: float = Field(16.0, gt=0)
    targets: tuple[Literal["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"], ...] = Field(
        ("q_proj", "v_proj"), min_length=1
    )
    learning_rate: float = Field(2e-4, gt=0)

    def open(self, model: Any, name: str) -> frozenset[str]:
        """Puts adapters into a frozen transformers model; they alone ask for a gradient. They are never merged.

        Returns:
            Their names in the model.

        Raises:
            UserError: peft is not installed.
        """
        if importlib.util.find_spec("peft") is None:
            raise UserError("finetuning by LoRA needs the 'finetune' extra", "pip install 'lookhear[finetune]'.")
        from peft import LoraConfig, inject_adapter_in_model

        # Blocks only: SigLIP's pooling head has maps of the same names.
        targets = rf"(text|vision)_model\.encoder\.layers\.\d+\.\w+\.({'|'.join(self.targets)})"
        inject_adapter_in_model(LoraConfig(r=self.rank, lora_alpha=self.alpha, target_modules=targets), model)  # type: ignore[arg-type]
        return frozenset(k for k, p in model.named_parameters() if p.requires_grad)


class LockedImage(_Finetune):
    """All of the text tower, towards an image tower that stays as it is (Zhai et al., 2022, LiT)."""

    mode: Literal["locked_image"] = "locked_image"
    learning_rate: float = Field(1e-5, gt=0)

    def open(self, model: Any, name: str) -> frozenset[str]:
        """Lets the text tower of a frozen transformers model ask for a gradient; gives the names in the model."""
        return _open(model, ("text_model.", "text_projection."))


Finetune = Annotated[LastBlocks | LoRA | LockedImage, Field(discriminator="mode")]


def _open(model: Any, beginnings: tuple[str, ...]) -> frozenset[str]:
    chosen = {k: p for k, p in model.named_parameters() if k.startswith(beginnings)}
    for p in chosen.values():
        p.requires_grad_(True)
    return frozenset(chosen)
