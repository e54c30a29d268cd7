"""Teachers: an image tower and a text tower that agree already; the speech tower learns from the pictures' side.

Three kinds: CLIP and SigLIP through transformers; the embedded default, trained in about a minute against a real
sentence encoder; and vectors computed elsewhere, mapped into a sentence encoder's space.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from lookhear.core import Features, Padded, Section, bf16_pays
from lookhear.errors import UserError
from lookhear.models.ensemble import EnsembleTeacher
from lookhear.models.finetuned import Finetune
from lookhear.models.images import PictureTower, VectorTower, to_tensor
from lookhear.models.texts import (
    DEFAULT_ENCODER,
    SentenceEncoder,
    TextTower,
    check_texts,
    load_pretrained,
    require_transformers,
)

__all__ = ["PROMPTS", "ClipTeacher", "EmbeddedTeacher", "Teacher", "TeacherConfig", "VectorTeacher"]

PROMPTS = ("{word}", "a picture of a {word}", "an image with a {word}", "{word} in a photo")
"""Templates of single words, unless a recipe names others."""


class Teacher(nn.Module):
    """Image and text towers of one shared space.

    Attributes:
        image: Encoder of pictures (``prepare`` makes its input), or of vectors.
        text: Encoder of texts (``tokenize`` makes its input).
        dim: D of the shared space.
        lesson: the image tower that speech learns from, where it is another one than ``image``.
        own_weights: whether a run must keep all these weights (else most are found again by name; see ``owns``).
    """

    own_weights = True

    def __init__(self, image: nn.Module, text: nn.Module, dim: int, lesson: nn.Module | None = None) -> None:
        super().__init__()
        self.image, self.text, self.dim, self.lesson = image, text, dim, lesson

    def owns(self, name: str) -> bool:
        """Whether a run must keep the weight of this name (as in ``state_dict``)."""
        return self.own_weights


class _Trained(Section):
    """How a teacher of our own is trained.

    Attributes:
        encoder: the frozen sentence encoder, by package name, folder or hub name.
        floor, average: of the rate and of the weights, as for speech (``Optimisation``).
        word_weight: of the single-word prompts beside the captions; ``words`` of the most frequent ones are asked.
        always: words that are asked however common they are ("one" is a function word, but not among digits).
        captions_each: captions of a picture that are encoded; all of them say which words are true of it.
        prompts: templates of the single words.
    """

    encoder: str = DEFAULT_ENCODER
    dim: int = Field(256, ge=8)
    epochs: float = Field(8, gt=0)
    batch_size: int = Field(32, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    floor: float = Field(0.0, ge=0, le=1)
    average: float = Field(0.0, ge=0, lt=1)
    word_weight: float = Field(5.0, ge=0)
    words: int = Field(200, ge=0)
    always: tuple[str, ...] = ()
    captions_each: int = Field(1, ge=1)
    prompts: tuple[str, ...] = PROMPTS


class EmbeddedTeacher(_Trained):
    """A small convolutional image tower against a frozen sentence encoder with a head.

    Attributes:
        size: pictures are seen at size × size pixels.
        width: channels of the first stage.
        flip: mirror pictures at random while training (never for digits or writing).
        shift: move pictures by up to this many pixels while training.
    """

    kind: Literal["embedded"] = "embedded"
    size: int = Field(64, ge=16)
    width: int = Field(32, ge=4)
    flip: bool = True
    shift: int = Field(3, ge=0)

    def build(self) -> Teacher:
        text = TextTower(SentenceEncoder(self.encoder), self.dim)
        return Teacher(PictureTower(self.dim, self.size, self.width), text, self.dim)


class VectorTeacher(_Trained):
    """A map from given image vectors (width ``vector_width``) against a frozen sentence encoder with a head.

    Attributes:
        map_hidden: width of the map's hidden layer; 0 makes it linear.
        hidden: width of the text head's hidden layer; 0 makes it linear.
        noise: standard deviation of noise added to the (unit) image vectors while training, relative to their length.
        unseen_noise: more noise, under which a second map is learned towards the finished text tower. Speech learns
            from the first map, which knows the training pictures well; pictures are searched through the second,
            which knows other pictures better. None: one map for both.
    """

    kind: Literal["vectors"] = "vectors"
    vector_width: int = Field(1024, ge=2)
    map_hidden: int = Field(0, ge=0)
    hidden: int = Field(0, ge=0)
    noise: float = Field(0.0, ge=0)
    unseen_noise: float | None = Field(None, ge=0)

    def build(self) -> Teacher:
        text = TextTower(SentenceEncoder(self.encoder), self.dim, self.hidden)
        shape = (self.vector_width, self.dim, self.map_hidden)
        image = VectorTower(*shape)
        lesson = None if self.unseen_noise is None else VectorTower(*shape)
        return Teacher(image, text, self.dim, lesson)


class ClipTeacher(Section):
    """CLIP or SigLIP through transformers, by hub name or by a folder that ``save_pretrained`` wrote.

    Attributes:
        finetune: which of its weights are trained on the captions of ``data.teacher``, before speech; None for none.
    """

    kind: Literal["clip"] = "clip"
    name: str = "openai/clip-vit-base-patch16"
    finetune: Finetune | None = None

    def build(self) -> Teacher:
        """The teacher as it comes; the weights that ``finetune`` chooses, and only those, ask for a gradient."""
        return _Pretrained(self.name, self.finetune)


class _Pretrained(Teacher):
    own_weights = False

    def __init__(self, name: str, finetune: Finetune | None = None) -> None:
        transformers = require_transformers()
        model = load_pretrained(transformers.AutoModel, name).eval().requires_grad_(False)
        # SigLIP 2 of one resolution calls itself "siglip"; "siglip2" is the kind that takes pictures of any shape.
        if model.config.model_type not in ("clip", "siglip"):
            raise UserError(
                f"model {name!r} is a {model.config.model_type} model",
                "A teacher needs CLIP, SigLIP, or SigLIP 2 of a fixed resolution.",
            )
        # Steps are smaller than half precision can tell apart, and some models are stored in it.
        changed = finetune.open(model.float(), name) if finetune else frozenset[str]()
        image = _PretrainedImage(model, load_pretrained(transformers.AutoImageProcessor, name))
        text = _PretrainedText(model, load_pretrained(transformers.AutoTokenizer, name))
        with torch.inference_mode():
            dim = text(text.tokenize(["a"])).pooled.shape[1]
        super().__init__(image, text, dim)
        # Both towers hold the whole model, so that each weight has two names: it is kept under one.
        self._changed = frozenset(f"image.model.{k}" for k in changed)

    def owns(self, name: str) -> bool:
        return name in self._changed


class _PretrainedImage(nn.Module):
    """The image side; patches are the tower's last tokens through its own output projection."""

    def __init__(self, model: Any, processor: Any) -> None:
        super().__init__()
        self.model, self.processor = model, processor
        config = model.config.vision_config
        self.size: int = config.image_size
        self.squash: bool = model.config.model_type == "siglip"
        self.grid = (config.image_size // config.patch_size,) * 2

    def prepare(self, images: list[Image.Image]) -> Padded:
        return to_tensor(images, self.size, self.squash)

    def forward(self, x: Padded) -> Features:
        p = self.processor
        mean, std = (x.values.new_tensor(v).view(1, 3, 1, 1) for v in (p.image_mean, p.image_std))
        out = self.model.vision_model(pixel_values=(x.values - mean) / std)
        tokens = out.last_hidden_state
        if self.model.config.model_type == "clip":
            pooled = self.model.visual_projection(out.pooler_output)
            # As in MaskCLIP-style readings: each patch through the same norm and projection as the class token.
            local = self.model.visual_projection(self.model.vision_model.post_layernorm(tokens[:, 1:]))
        else:
            pooled, local = out.pooler_output, tokens
        mask = torch.ones(local.shape[:2], dtype=torch.bool, device=local.device)
        return Features(F.normalize(pooled.float(), dim=-1), local.float(), mask, self.grid)


class _PretrainedText(nn.Module):
    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.length: int = model.config.text_config.max_position_embeddings
        # SigLIP was trained on texts padded to full length, and reads the last position.
        self.full: bool = model.config.model_type != "clip"

    def tokenize(self, texts: list[str]) -> Padded:
        check_texts(texts, self.tokenizer)
        padding = "max_length" if self.full else True
        out = self.tokenizer(texts, padding=padding, truncation=True, max_length=self.length, return_tensors="pt")
        ids = out["input_ids"]
        mask = out["attention_mask"].bool() if "attention_mask" in out else torch.ones_like(ids, dtype=torch.bool)
        return Padded(ids, mask)

    def forward(self, x: Padded) -> Features:
        clip = self.model.config.model_type == "clip"
        attention = x.mask.long() if clip and x.mask is not None else None
        out = self.model.text_model(input_ids=x.values, attention_mask=attention)
        project = self.model.text_projection if clip else self.model.text_model.head
        pooled = project(out.pooler_output) if clip else out.pooler_output
        local = project(out.last_hidden_state)
        mask = x.mask if x.mask is not None else torch.ones_like(x.values, dtype=torch.bool)
        return Features(F.normalize(pooled.float(), dim=-1), local.float() * mask[..., None], mask)


TeacherConfig = Annotated[EmbeddedTeacher | VectorTeacher | ClipTeacher | EnsembleTeacher, Field(discriminator="kind")]


def sentence_vectors(teacher: Teacher, texts: list[str]) -> Tensor:
    """(B, E) frozen sentence vectors, for training the head of a teacher of our own."""
    assert isinstance(teacher.text, TextTower)
    return teacher.text.encoder.vectors(texts, bf16=bf16_pays("cpu"))
