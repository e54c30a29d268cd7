"""Distillation: a speech tower learns what another run's, or its own past, makes of the same recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Features, Losses, Padded, gather
from lookhear.errors import UserError
from lookhear.objectives.base import Objective, Views
from lookhear.objectives.frozen import Follows, Frozen, heard_by
from lookhear.objectives.likeness import RELATIONS
from lookhear.objectives.moving import MovingCopy
from lookhear.objectives.queue import Queue
from lookhear.objectives.response import bank_of, divergence
from lookhear.objectives.stretched import stretch

__all__ = ["Distil"]

OF_PICTURES = ("similarities", "logits")
OF_SPACE = ("embedding", "contrast")


class Distil(Objective):
    """Student and teacher hear one augmented batch; gradient reaches the student alone (Wang and Yoon, 2021).

    - ``similarities``: T² KL(softmax(t / T) ‖ softmax(s / T)), averaged over recordings, of ``scale`` × cosines with
      the pictures of the batch and the bank (Hinton et al., 2015). Probabilities of several teachers are averaged.
    - ``logits``: mean square between those scaled cosines.
    - ``tags``: BCE of σ(s) with σ(t), mean over the words that the tag heads of both answer for (multi-label response).
    - ``hidden``: mean square between a linear map of the student's hidden vectors and the teacher's (FitNets).
    - ``attention``: mean square between Σ|hidden|² by frame, each of unit length over the recording (AT).
    - ``embedding``: 1 − cosine of the pooled vectors. ``contrast``: InfoNCE of them at temperature T, the others of the
      batch and what a queue holds of the teacher as negatives (the simple form of CRD; Tian et al., 2020).
    - ``distances``, ``angles``, ``gram``, ``neighbours``: RKD-D, RKD-A, SP and PKT of the pooled vectors.

    A teacher's frames are stretched onto the student's where their numbers differ; padding counts nowhere. With a
    ``decay`` the teacher is a slow copy of the student itself (mean teacher; Tarvainen and Valpola, 2017).
    """

    class Config(Follows):
        """What is taken from the teacher.

        Attributes:
            runs: folders of runs; several for ``similarities`` alone; none with a ``decay``.
            decay: of the copy, a step; 0 for runs.
            by: what is compared; see the class.
            temperature: T.
            scale: what cosines are multiplied by before they are logits.
            regressor: for ``embedding`` and ``contrast``, a learned linear map to a teacher of another dimension.
            queue: for ``contrast``, vectors of past steps as further negatives; best a multiple of the batch size.
        """

        about: ClassVar[About] = About(
            name="knowledge-distillation-survey",
            title="a small tower learns from a large, frozen one",
            kind="objective",
            family="distillation",
            paper=(
                "Wang, Yoon, 2021, Knowledge Distillation and Student-Teacher Learning for Visual Intelligence: "
                "A Review and New Outlooks, TPAMI"
            ),
            inputs=("audio", "image"),
            recipe="picturebook-distil",
        )
        kind: Literal["distil"] = "distil"
        runs: tuple[str, ...] = ()
        by: Literal[
            "similarities",
            "logits",
            "tags",
            "hidden",
            "attention",
            "embedding",
            "contrast",
            "distances",
            "angles",
            "gram",
            "neighbours",
        ] = "similarities"
        temperature: float = Field(1.0, gt=0)
        scale: float = Field(14.0, gt=0)
        regressor: bool = False
        queue: int = Field(0, ge=0)
        decay: float = Field(0.0, ge=0, lt=1)
        weight: float = Field(1.0, gt=0)

        @model_validator(mode="after")
        def _fits(self) -> Distil.Config:
            if bool(self.runs) == bool(self.decay):
                raise ValueError("either runs teach or, with a decay, the tower's own past")
            if self.queue and self.by != "contrast":
                raise ValueError(f"a queue is for by = 'contrast', not {self.by!r}")
            if self.decay and self.by == "tags":
                raise ValueError("by = 'tags' asks a run: the copy is of the tower, without its head")
            if len(self.runs) > 1 and self.by != "similarities":
                raise ValueError(f"by = {self.by!r} takes one run; several are averaged by 'similarities' alone")
            if self.regressor and self.by not in OF_SPACE:
                raise ValueError(f"a regressor is for by = 'embedding' or 'contrast', not {self.by!r}")
            return self

        def followed(self) -> tuple[str, ...]:
            return self.runs

        def build(self, model: Any) -> Distil:
            if self.decay:
                return Distil(self, (), *([model.audio.width] * 2 if self.by == "hidden" else [model.dim] * 2))
            teachers = [heard_by(run, model, "objectives.runs") for run in self.runs]
            for run, teacher in zip(self.runs, teachers, strict=True):
                self._check(run, teacher, model)
            if self.by == "tags":
                return Distil(self, [_Answering(teachers[0], model.head)], 0, 0)
            towers = [t.audio for t in teachers if t.audio is not None]
            theirs = towers[0].width if self.by == "hidden" else teachers[0].dim
            ours = model.audio.width if self.by == "hidden" else model.dim
            return Distil(self, towers, ours, theirs)

        def _check(self, run: str, teacher: Any, model: Any) -> None:
            """Refuses a teacher whose answers the student cannot be held against."""
            if self.by in OF_SPACE and teacher.dim != model.dim and not self.regressor:
                raise UserError(
                    f"objective 'distil': {run} has {teacher.dim} dimensions, the student {model.dim}",
                    f"Set teacher.dim={teacher.dim}, or the objective's regressor=true.",
                )
            if self.by in OF_PICTURES and not _alike(teacher.image, model.image):
                raise UserError(
                    f"objective 'distil': pictures lie elsewhere in the space of {run}, so similarities to them "
                    "cannot be compared",
                    f"Set teacher_run={run!r} (the run whose teacher it was), or choose by='gram'.",
                )
            if self.by == "tags":
                for whose, head in ((run, teacher.head), ("the student", model.head)):
                    if head is None or head.config.softmax:
                        raise UserError(
                            f"objective 'distil': {whose} has no tag head whose words are answered one by one",
                            "Let both learn by 'tag_head', without softmax, and list it before 'distil'.",
                        )
                if not set(teacher.head.names) & set(model.head.names):
                    raise UserError(
                        f"objective 'distil': the tag head of {run} answers for none of the student's words",
                        "Give both 'tag_head' the same words.",
                    )

    def __init__(self, config: Config, towers: Sequence[nn.Module], ours: int, theirs: int) -> None:
        """
        Args:
            towers: the teachers' speech towers; none for a copy of the student's.
            ours, theirs: widths of what is compared, for the regressor.
        """
        super().__init__()
        self.config, self.towers = config, [Frozen(t) for t in towers]
        self.needs = frozenset({"audio", "image"} if config.by in OF_PICTURES else {"audio"})  # type: ignore[misc]
        self.copy = MovingCopy(config.decay) if config.decay else None
        self.queue = Queue(config.queue) if config.queue else None
        self._latest: tuple[Tensor, Tensor, Tensor] | None = None
        mapped = config.by == "hidden" or config.regressor
        self.regressor = nn.Linear(ours, theirs) if mapped else nn.Identity()

    def forward(self, views: Views) -> Losses:
        given = views.batch.inputs["audio"]
        if not isinstance(given, Padded):
            raise UserError(
                "objective 'distil' needs the recordings themselves for its teacher, not vectors computed before",
                "Set training.part=0 if it is set, or take the objective out.",
            )
        # The copy first, so that it begins as the tower was before this batch.
        teachers = [tower(given) for tower in self.towers] or [self._own(views, given)]
        student, by = views["audio"], self.config.by
        if by in OF_PICTURES:
            loss = gather(self._response(views, student, teachers)).mean()
        elif by in RELATIONS:
            loss = RELATIONS[by](gather(student.pooled).float(), gather(teachers[0].pooled).float())
        elif by in OF_SPACE:
            loss = gather(self._embedding(student, teachers[0], views.group)).mean()
        elif by == "tags":
            loss = gather(self._tags(views.model.head(student), teachers[0])).mean()
        else:
            loss = gather(self._frames(student, teachers[0])).mean()
        return {"distil": self.config.weight * loss}

    def _own(self, views: Views, given: Padded) -> Features:
        assert self.copy is not None
        features: Features = self.copy(views.model.audio, given)
        return features

    def after_step(self, model: nn.Module, step: int) -> None:
        if self.copy is not None:
            self.copy.update(model.audio)  # type: ignore[arg-type]
        if self.queue is not None and self._latest is not None:
            self.queue.push(*self._latest)
            self._latest = None

    def _response(self, views: Views, student: Features, teachers: Sequence[Features]) -> Tensor:
        """(B,) losses over cosines with all pictures."""
        bank, c = bank_of(views), self.config
        ours = c.scale * student.pooled.float() @ bank.T
        theirs = [c.scale * t.pooled.float() @ bank.detach().T for t in teachers]
        if c.by == "logits":
            return (ours - theirs[0]).pow(2).mean(1)
        p = torch.stack([(z / c.temperature).softmax(1) for z in theirs]).mean(0)
        return divergence(p, ours, c.temperature)

    def _tags(self, student: Features, teacher: Features) -> Tensor:
        """(B,) losses over words."""
        assert student.tags is not None
        assert teacher.tags is not None
        answering = self.towers[0].tower
        assert isinstance(answering, _Answering)
        ours, theirs = answering.rows
        target = teacher.tags[:, theirs].sigmoid()
        each = F.binary_cross_entropy_with_logits(student.tags[:, ours], target, reduction="none")
        return each.mean(1)

    def _embedding(self, student: Features, teacher: Features, group: Tensor) -> Tensor:
        """(B,) losses over pooled vectors."""
        s = F.normalize(self.regressor(student.pooled.float()), dim=-1)
        t = teacher.pooled.float()
        if self.config.by == "embedding":
            return 1 - (s * t).sum(1)
        everyone = gather(t)
        near = s @ everyone.T / self.config.temperature
        if self.queue is not None:
            past = self.queue.logits("b", s, group, s.new_tensor(1 / self.config.temperature))
            near = torch.cat([near, past], dim=1)
            if self.training:
                self._latest = gather(s.detach()), everyone, gather(group)
        return near.logsumexp(1) - (s * t).sum(1) / self.config.temperature

    def _frames(self, student: Features, teacher: Features) -> Tensor:
        """(B,) losses over hidden vectors."""
        assert student.hidden is not None
        assert teacher.hidden is not None
        mask, s, t = student.mask, student.hidden.float(), teacher.hidden.float()
        if self.config.by == "hidden":
            each: Tensor = (self.regressor(s) - stretch(t, teacher.mask, mask)).pow(2).mean(-1)
            return (each * mask).sum(1) / mask.sum(1)
        ours = F.normalize(s.pow(2).sum(-1) * mask, dim=1)
        power = stretch(t.pow(2).sum(-1, keepdim=True), teacher.mask, mask)[..., 0]
        return (ours - F.normalize(power, dim=1)).pow(2).sum(1) / mask.sum(1)


class _Answering(nn.Module):
    """A run's speech tower with its tag head.

    Attributes:
        rows: numbers of the words that both heads answer for, in the student's and in the run's.
    """

    def __init__(self, teacher: Any, ours: Any) -> None:
        super().__init__()
        self.audio, self.head = teacher.audio, teacher.head
        both = [name for name in ours.names if name in teacher.head.names]
        self.rows = [ours.names.index(n) for n in both], [teacher.head.names.index(n) for n in both]

    def forward(self, x: Padded) -> Features:
        features: Features = self.head(self.audio(x))
        return features


def _alike(one: nn.Module, other: nn.Module) -> bool:
    """Whether two picture towers hold the same weights."""
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k].cpu(), b[k].cpu()) for k in a)
