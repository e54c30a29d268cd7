"""The nouns every room speaks: what goes into a tower, what comes out, and what a search answers.

Letters for shapes: B batch, S samples, T audio frames, P patches, N local positions, W text tokens, Q queries,
D embedding. Times in seconds, rates in Hz, similarities in [-1, 1] unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

__all__ = [
    "RATE",
    "Batch",
    "Features",
    "Hit",
    "Losses",
    "Padded",
    "Section",
    "Span",
    "bf16_pays",
    "gather",
    "in_eval",
    "lengths_to_mask",
    "pool",
    "processes",
    "unit_from",
]

RATE = 16_000
"""Sample rate, in Hz, of all audio inside LookHear."""

Losses = dict[str, Tensor]
"""Name → scalar, weighted already; the loop adds them up."""


class Section(BaseModel):
    """A frozen part of a recipe; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Padded:
    """One modality of one batch.

    Attributes:
        values: audio (B, S) samples at 16 kHz; image (B, 3, H, W) in [0, 1]; text (B, W) token ids.
        mask: (B, S | W) bool, True where real; None where all is real.
    """

    values: Tensor
    mask: Tensor | None = None

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> Padded:
        return Padded(self.values[index], None if self.mask is None else self.mask[index])

    def to(self, device: torch.device | str) -> Padded:
        return Padded(self.values.to(device), None if self.mask is None else self.mask.to(device))


@dataclass(frozen=True, slots=True)
class Features:
    """What a tower says of B inputs, in the shared space.

    Attributes:
        pooled: (B, D), unit length.
        local: (B, N, D) frames, patches (row-major) or tokens; zero where ``mask`` is False.
        mask: (B, N) bool, True where real.
        step: seconds per frame for audio, (rows, columns) of patches for images, None where neither applies.
        hidden: (B, N, H) what the local vectors were made of, for a head beside them; only while a tower learns.
        tags: (B, V) log-odds of a closed vocabulary, and ``tag_curve`` (B, N, V) where in the item they come from,
            −inf outside the mask; None where the model has no tag head.
    """

    pooled: Tensor
    local: Tensor
    mask: Tensor
    step: float | tuple[int, int] | None = None
    hidden: Tensor | None = None
    tags: Tensor | None = None
    tag_curve: Tensor | None = None

    def __len__(self) -> int:
        return self.pooled.shape[0]

    def _each(self, change: Callable[[Tensor], Tensor]) -> Features:
        """The same with every tensor changed."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {k: change(v) for k, v in own.items() if isinstance(v, Tensor)}
        return replace(self, **changed)

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> Features:
        return self._each(lambda x: x[index])

    def to(self, device: torch.device | str) -> Features:
        return self._each(lambda x: x.to(device))

    def clone(self) -> Features:
        """A copy that may take part in a graph, which what was made in inference mode may not."""
        return self._each(torch.clone)

    def __iter__(self) -> Iterator[Features]:
        """One item at a time, each cut to its own length: ``pooled`` (D,), ``local`` (n, D), ``mask`` (n,)."""
        for p, v, m in zip(self.pooled, self.local, self.mask, strict=True):
            yield Features(p, v[m], m[m], self.step)

    @staticmethod
    def of_pooled(pooled: Tensor) -> Features:
        """Features for (B, D) vectors that have no finer parts: the only local vector is the pooled one."""
        return Features(pooled, pooled[:, None], torch.ones(len(pooled), 1, dtype=torch.bool, device=pooled.device))

    @staticmethod
    def concat(parts: Sequence[Features]) -> Features:
        """Joins batches of features, padding the local axis to the longest."""
        longest = max(p.local.shape[1] for p in parts)

        def along(name: str, value: float = 0.0) -> Tensor | None:
            given = [getattr(p, name) for p in parts]
            if given[0] is None:
                return None
            return torch.cat([F.pad(x, (0, 0, 0, longest - x.shape[1]), value=value) for x in given])

        mask = torch.cat([F.pad(p.mask, (0, longest - p.mask.shape[1])) for p in parts])
        local = along("local")
        assert local is not None
        tags = None if parts[0].tags is None else torch.cat([p.tags for p in parts if p.tags is not None])
        pooled = torch.cat([p.pooled for p in parts])
        curve = along("tag_curve", float("-inf"))
        return Features(pooled, local, mask, parts[0].step, along("hidden"), tags, curve)


@dataclass(frozen=True, slots=True)
class Batch:
    """One training step's material.

    Attributes:
        inputs: "audio", "image", "text" → raw input (``Padded``) or features computed before (``Features``).
            A second view of the image is "image@2".
        group: (B,) int64; items of one group show or say the same thing, so they are never each other's negatives.
        ids: B item ids, for logs and queues.
        more: modality → (M more items of it, their groups): further negatives, such as all pictures of the corpus
            where the image tower is frozen and its vectors cost nothing.
        present: input → (B,) bool, True where an item has it; what is not named here every item has.
    """

    inputs: Mapping[str, Padded | Features]
    group: Tensor
    ids: Sequence[str] = field(default_factory=tuple)
    more: Mapping[str, tuple[Padded | Features, Tensor]] = field(default_factory=dict)
    present: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.group.shape[0]

    def to(self, device: torch.device | str) -> Batch:
        inputs = {k: v.to(device) for k, v in self.inputs.items()}
        more = {k: (v.to(device), g.to(device)) for k, (v, g) in self.more.items()}
        present = {k: v.to(device) for k, v in self.present.items()}
        return Batch(inputs, self.group.to(device), self.ids, more, present)

    def take(self, rows: Tensor) -> Batch:
        """The items of an index (n,); ``more`` stays as it is."""
        ids = [self.ids[i] for i in rows.tolist()] if self.ids else ()
        present = {k: v[rows] for k, v in self.present.items()}
        return Batch({k: v[rows] for k, v in self.inputs.items()}, self.group[rows], ids, self.more, present)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in seconds, with its score."""

    start: float
    end: float
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer to one query; the JSON forms of ``search`` and ``spot`` are lists of these.

    Attributes:
        start, end: seconds.
        score: how well the moment meets the query, as the model scores it.
        probability: that it is right, where the model was calibrated.
    """

    file: str
    query: str
    start: float
    end: float
    score: float
    probability: float | None = field(default=None, kw_only=True)

    def as_dict(self, query_key: str = "query") -> dict[str, Any]:
        row = asdict(self)
        row[query_key] = row.pop("query")
        if self.probability is None:
            del row["probability"]
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


def lengths_to_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths → (B, size) bool, True before each length."""
    return torch.arange(size, device=lengths.device)[None] < lengths[:, None]


def pool(local: Tensor, mask: Tensor) -> Tensor:
    """(B, N, D), (B, N) → (B, D): the unit vector along the sum of the local vectors."""
    return F.normalize((local * mask[..., None]).sum(1).float(), dim=-1)


def unit_from(centre: Tensor, x: Tensor) -> Tensor:
    """(…, D) → unit vectors pointing from ``centre`` to the unit vectors along ``x``.

    Contrastive training leaves the vectors of each modality in a cone of its own, the cones apart (the modality gap;
    Liang et al., 2022, "Mind the Gap"). Seen from the middle of its own cone, either modality spreads evenly, and a
    third tower that learns from one is found by the other.
    """
    return F.normalize(F.normalize(x.float(), dim=-1) - centre, dim=-1)


@contextmanager
def in_eval(module: nn.Module) -> Iterator[None]:
    """All parts in eval mode, and afterwards each in its own again.

    ``train()`` would wake a frozen teacher inside a model that trains, and its statistics would move.
    """
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode


def bf16_pays(device: str = "") -> bool:
    """Whether this machine multiplies bf16 matrices in hardware: on "cpu" or "cuda", or on the one that training takes.

    Where a processor does not, bf16 is slower than fp32.
    """
    if device == "cuda" or (not device and torch.cuda.is_available()):
        return bool(torch.cuda.is_bf16_supported())
    capability: Callable[[], bool] | None = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return capability is not None and bool(capability())


def processes() -> int:
    """How many processes train together; 1 without a process group."""
    import torch.distributed as dist

    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(x: Tensor) -> Tensor:
    """(B, …) of this process → (processes × B, …) of all, in rank order, with gradient to every process.

    Without an initialised process group it is the identity. The gradient is summed over processes, so that with
    DDP's averaging a loss computed on every process over the gathered batch gives the gradient of the single-process
    loss over 2 × B (the ranks' identical losses add up, the mean divides them again).
    """
    import torch.distributed as dist

    if processes() == 1:
        return x
    if not x.requires_grad:
        parts = [torch.empty_like(x) for _ in range(processes())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)
    import torch.distributed.nn.functional as dnn

    whole = torch.cat(dnn.all_gather(x.contiguous()))  # type: ignore[no-untyped-call]
    if whole.requires_grad:
        # Gradients are sent as they lie in memory: those of a transposed use would arrive scrambled (gloo, torch 2.13).
        whole.register_hook(torch.Tensor.contiguous)  # type: ignore[no-untyped-call]
    return whole
