"""Correlational image modelling: where in a picture or recording was this piece, changed, cut out?"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Batch, Features, Losses, Padded, gather, lengths_to_mask
from lookhear.data.augment import Augment
from lookhear.data.looks import Looks
from lookhear.errors import UserError
from lookhear.objectives.base import Objective, Shaped, Views
from lookhear.objectives.drawn import generators
from lookhear.objectives.exemplars import boxes, boxes_cover, cut_boxes, cut_spans, spans, spans_cover
from lookhear.objectives.moving import MovingCopy
from lookhear.objectives.raw import check_batch, check_tower

__all__ = ["Correlational", "Correlator", "overlap", "sinusoids"]


def sinusoids(step: float | tuple[int, int] | None, count: int, width: int) -> Tensor:
    """(count, width): sines and cosines of each position's place in time, or of its row and then its column.

    Of a place p they are sin(p ω), cos(p ω) with ω from 1 down towards 1/10000 (Vaswani et al., 2017, section 3.5).
    """
    place = torch.arange(count)
    axes = [place // step[1], place % step[1]] if isinstance(step, tuple) else [place]
    each = width // (2 * len(axes))
    omega = 10000 ** (-torch.arange(each) / each)
    angles = [axis[:, None] * omega for axis in axes]
    return torch.cat([f(angle) for angle in angles for f in (torch.sin, torch.cos)], 1)


class Correlator(nn.Module):
    """A context asks an exemplar: hidden vectors of both → one logit for each position of the context.

    One pre-norm block of cross-attention and an MLP four times as wide, over one linear map of both. Positions of the
    context, with where they are, are the queries; those of the exemplar are keys and values. Beside them stands
    nothing, a learned value with a learned score in each head: so a position need not find what is like it, and how
    much of its attention goes there tells. Queries and keys begin alike, so that like finds like from the first step.
    """

    def __init__(self, hidden: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.map = nn.Sequential(nn.Linear(hidden, width), nn.LayerNorm(width))
        self.place = nn.Parameter(torch.ones(()))  # how much where it is counts beside what it is like
        self.asks, self.asked = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        nn.init.orthogonal_(self.query.weight)
        self.key.load_state_dict(self.query.state_dict())
        self.nothing, self.score = nn.Parameter(torch.randn(width)), nn.Parameter(torch.full((heads,), 3.0))
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.told = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

    def forward(self, context: Features, exemplars: Features) -> Tensor:
        """B contexts of P positions, and K exemplars of each in their order → (B, K, P)."""
        assert context.hidden is not None
        assert exemplars.hidden is not None
        n, p, width = len(exemplars.mask), context.mask.shape[1], len(self.nothing)
        each = n // len(context.mask)
        x = self.map(context.hidden) + self.place * sinusoids(context.step, p, width).to(context.hidden)
        query = self._split(self.query(self.asks(x)).repeat_interleave(each, 0))
        tokens = self.asked(self.map(exemplars.hidden))
        score = (query @ self._split(self.key(tokens)).mT).float() / (width // self.heads) ** 0.5
        score = score.masked_fill(~exemplars.mask[:, None, None], float("-inf"))
        share = torch.cat([self.score.view(1, -1, 1, 1).expand(n, -1, p, 1), score], 3).softmax(3).to(tokens.dtype)
        value = torch.cat([self.nothing.to(tokens.dtype).expand(n, 1, -1), self.value(tokens)], 1)
        x = x.repeat_interleave(each, 0) + self.out((share @ self._split(value)).transpose(1, 2).flatten(2))
        x = x + self.mlp(x)
        logits: Tensor = self.told(x)[..., 0]
        return logits.view(-1, each, p)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Correlational(Objective):
    """Correlational image modelling (Li et al., 2023, section 3), for pictures and log-mels.

    K exemplars are cut out of each item by boxes (stretches of a recording), changed, and go through the tower. The
    item itself, untouched, goes through a slow copy of it, without gradient. A ``Correlator`` says of each position of
    the item how much of it the box covers; the loss is the binary cross-entropy against that share, its mean over
    real positions, exemplars and items.

    Boxes are turned, mirrored and scaled to squares. Where the paper predicts a map of pixels, here it is one of
    positions; its contrastive side loss, which the authors' own recipe leaves out, is not here.
    """

    class Config(Shaped):
        """What is cut out, and how it is changed.

        Attributes:
            exemplars: K of each item.
            area: smallest and largest share of the item that an exemplar is: of a picture's area, of a recording's
                length. A picture's box is made smaller where it would be longer than the picture.
            aspect, turn, flip: of pictures: how much longer one edge is at most; degrees either way; mirrored or not.
            size: edge in pixels that an exemplar of a picture is scaled to.
            context: edge in pixels that the picture itself is scaled to; 0 leaves it as it is.
            looks, augment: how exemplars of pictures and of recordings are changed, beside that.
            width, heads: of the correlator.
            decay: of the slow copy, a step.
        """

        about: ClassVar[About] = About(
            name="correlational-image-modeling",
            title="where in the item an exemplar of it was cut out",
            kind="objective",
            family="transformation prediction",
            paper="Li et al., 2023, Correlational Image Modeling for Self-Supervised Visual Pre-Training, CVPR",
            inputs=("audio", "image"),
            recipe="picturebook-correlational",
            order=True,
            moving_average=True,
            augmentation=True,
        )
        kind: Literal["correlational"] = "correlational"
        on: Literal["audio", "image"] = "image"
        exemplars: int = Field(6, ge=1)
        area: tuple[float, float] = (0.05, 0.48)
        aspect: float = Field(3.0, ge=1)
        turn: float = Field(45.0, ge=0, le=180)
        flip: bool = True
        size: int = Field(32, ge=8)
        context: int = Field(0, ge=0)
        looks: Looks = Looks(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, grey=0.2, blur=0.5)
        augment: Augment = Augment(speed=0.15, warp=0.1, tilt=3.0, noise=(10.0, 30.0))
        width: int = Field(128, ge=4)
        heads: int = Field(4, ge=1)
        decay: float = Field(0.99, ge=0, lt=1)
        weight: float = Field(1.0, gt=0)

        @field_validator("area")
        @classmethod
        def _shares(cls, area: tuple[float, float]) -> tuple[float, float]:
            if not 0 < area[0] <= area[1] < 1:
                raise ValueError("the smaller share comes first, both above 0 and below 1")
            return area

        @model_validator(mode="after")
        def _splits(self) -> Correlational.Config:
            if self.width % 4 or self.width % self.heads:
                raise ValueError("a width that 4 and its heads divide is needed")
            return self

        def build(self, model: Any) -> Correlational:
            return Correlational(self, getattr(model, self.on))

    def __init__(self, config: Config, tower: Any) -> None:
        """
        Args:
            tower: a picture tower that takes pictures of any size, or a speech tower over log-mels with ``step``.

        Raises:
            UserError: it hears or sees something else.
        """
        super().__init__()
        self.config, self.needs = config, frozenset({config.on})  # type: ignore[misc]
        audio = config.on == "audio"
        check_tower("correlational", "cuts pieces out of", config.on, tower)
        self.frames = round(tower.step * 100) if audio else 0
        self.patch = 0 if audio else -(-tower.size // tower.grid[0])
        self.correlator = Correlator(tower.width, config.width, config.heads)
        self.slow = MovingCopy(config.decay)

    def ready(self, batch: Batch, items: int) -> None:
        given = check_batch("correlational", self.config.on, batch)
        if self.frames:
            most = -(-int(self._mask(given).sum(1).max()) // self.frames)
        else:
            edges = [self.config.context] * 2 if self.config.context else list(given.values.shape[2:])
            most = -(-edges[0] // self.patch) * -(-edges[1] // self.patch)
        if most < 3:
            raise UserError(
                f"objective 'correlational': items of {most} positions have no places to tell apart",
                "Choose longer recordings." if self.frames else "Choose larger pictures, or a larger context.",
            )
        low, high = self.config.area
        if low * most < 0.5 or high * most > most - 0.5:
            what = "nothing" if low * most < 0.5 else "everything"
            raise UserError(
                f"objective 'correlational': an area of {low} to {high} of {most} positions may cover {what}",
                f"Set its area between {1 / most:.2f} and {1 - 1 / most:.2f}.",
            )

    def forward(self, views: Views) -> Losses:
        given = views.batch.inputs[self.config.on]
        assert isinstance(given, Padded)
        tower = getattr(views.model, self.config.on)
        exemplars, drawn = self._cut(views.batch, given)
        context = self.slow(tower, self._context(given))
        logits = self.correlator(context, tower(exemplars)).float()
        with torch.no_grad():
            share = self._cover(drawn, given, context).view_as(logits)
        real = context.mask[:, None].float().expand_as(logits)
        each = (F.binary_cross_entropy_with_logits(logits, share, reduction="none") * real).sum(2) / real.sum(2)
        self.told = {"IoU": float(overlap(logits.detach() > 0, share >= 0.5, real > 0).mean())}
        return {"correlational": self.config.weight * gather(each.mean(1)).mean()}

    def _mask(self, given: Padded) -> Tensor:
        """(B, T) which frames of recordings are real."""
        if given.mask is not None:
            return given.mask
        return torch.ones(len(given.values), given.values.shape[2], dtype=torch.bool, device=given.values.device)

    def _context(self, given: Padded) -> Padded:
        if self.frames or not self.config.context:
            return given
        edge = (self.config.context,) * 2
        return Padded(F.interpolate(given.values.float(), edge, mode="bilinear", antialias=True, align_corners=False))

    @torch.no_grad()
    def _cut(self, batch: Batch, given: Padded) -> tuple[Padded, Tensor]:
        """Of B items: their B × K exemplars, and the boxes or stretches that they were cut out by."""
        c, values, drawn, pieces = self.config, given.values.float().cpu(), [], []
        lengths = self._mask(given).sum(1).tolist() if self.frames else [0] * len(values)
        for item, length, rng in zip(values, lengths, generators(batch), strict=True):
            if self.frames:
                drawn.append(spans(c.exemplars, length, c.area, self.frames, rng))
                pieces.append(c.augment.apply(cut_spans(item, drawn[-1]), rng))
            else:
                size = (item.shape[1], item.shape[2])
                drawn.append(boxes(c.exemplars, size, c.area, c.aspect, c.turn, c.flip, rng))
                cut = cut_boxes(item.expand(c.exemplars, *item.shape), drawn[-1], c.size)
                pieces.append(Padded(c.looks.apply(cut, rng)))
        device = given.values.device
        return _together(pieces).to(device), torch.cat(drawn).to(device)

    def _cover(self, drawn: Tensor, given: Padded, context: Features) -> Tensor:
        """(B × K, P) the share of each position of its item that each exemplar covers."""
        if self.frames:
            lengths = self._mask(given).sum(1).repeat_interleave(self.config.exemplars)
            return spans_cover(drawn, lengths, context.mask.shape[1], self.frames)
        assert isinstance(context.step, tuple)
        return boxes_cover(drawn, (given.values.shape[2], given.values.shape[3]), context.step)

    def after_step(self, model: nn.Module, step: int) -> None:
        self.slow.update(getattr(model, self.config.on))


def overlap(told: Tensor, covered: Tensor, real: Tensor) -> Tensor:
    """(…, P) bool, three times → (…) intersection over union among real positions; 1 where both are empty."""
    both = (told & covered & real).sum(-1)
    either = ((told | covered) & real).sum(-1)
    return torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(both, dtype=torch.float32))


def _together(pieces: list[Padded]) -> Padded:
    """Pieces of several items as one batch, padded to the longest."""
    if pieces[0].mask is None:
        return Padded(torch.cat([p.values for p in pieces]))
    longest = max(p.values.shape[2] for p in pieces)
    values = torch.cat([F.pad(p.values, (0, longest - p.values.shape[2])) for p in pieces])
    lengths = torch.cat([p.mask.sum(1) for p in pieces if p.mask is not None])
    return Padded(values, lengths_to_mask(lengths, longest))
