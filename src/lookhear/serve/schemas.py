"""What the service is asked and answers, as JSON; the OpenAPI document is made from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

__all__ = [
    "About",
    "ArchiveMap",
    "Curve",
    "Drawing",
    "Example",
    "Export",
    "Failure",
    "Filters",
    "Health",
    "Hit",
    "Kind",
    "Marked",
    "Moment",
    "Part",
    "Point",
    "Search",
    "SearchAnswer",
    "Session",
    "Uploaded",
    "refusals",
]

Kind = Literal["moments", "recordings", "pictures", "texts", "all"]
Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=0, lt=2**53, strict=True)]
"""Of a file: whole numbers that JavaScript has, too."""
Value = Annotated[str, Field(max_length=1000)]
Date = Annotated[str, Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$", max_length=10)]


class _Asked(BaseModel):
    """Part of a request: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Moment(_Asked):
    """A stretch of a recording in the index; of a picture, start and end are 0."""

    file: Number
    start: Seconds
    end: Seconds

    @model_validator(mode="after")
    def _forwards(self) -> Moment:
        if self.end < self.start:
            raise ValueError("it ends before it starts")
        return self


class Part(_Asked):
    """One thing to look for: exactly one of the keys."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] | None = None
    upload: Annotated[str, Field(max_length=64)] | None = None
    moment: Moment | None = None

    @model_validator(mode="after")
    def _one(self) -> Part:
        if sum(value is not None for value in (self.text, self.upload, self.moment)) != 1:
            raise ValueError("give exactly one of text, upload, moment")
        return self


class Filters(_Asked):
    """Which files count. Dates are 1957, 1957-03 or 1957-03-21; both ends are included."""

    folder: Annotated[str, Field(max_length=4096)] | None = None
    since: Date | None = None
    until: Date | None = None
    details: Annotated[
        dict[Annotated[str, Field(max_length=100)], Annotated[list[Value], Field(max_length=200)]],
        Field(max_length=20),
    ] = {}


class Search(_Asked):
    """What is looked for, what is not meant, and which of the hits are wanted."""

    all: list[Part] = Field(default=[], max_length=64)
    none: list[Part] = Field(default=[], max_length=64)
    kind: Kind = "moments"
    k: int = Field(default=20, ge=1, le=10_000, strict=True)
    offset: int = Field(default=0, ge=0, le=2**31, strict=True)
    where: Filters = Filters()


class Curve(BaseModel):
    """A score over time: value ``i`` is at ``start + i × step`` seconds."""

    start: float
    step: float
    values: list[float | None]


class Hit(BaseModel):
    """A moment of a recording, a picture, or a text."""

    file: int
    name: str
    folder: str
    modality: str
    start: float
    end: float
    score: float
    probability: float | None
    text: str | None
    seconds: float | None
    details: dict[str, str]
    curve: Curve | None


class SearchAnswer(BaseModel):
    """Hits, best first; whether there are more; how long it took; how many rows were asked."""

    hits: list[Hit]
    more: bool
    seconds: float
    rows: int


class Uploaded(BaseModel):
    """Something to search with, for some minutes."""

    id: str
    modality: Literal["picture", "recording"]
    name: str
    seconds: float | None


class Health(BaseModel):
    status: Literal["ok"]
    rows: int


class Example(BaseModel):
    """A row of the index, to begin with."""

    file: int
    name: str
    modality: str
    start: float
    end: float
    text: str | None


class About(BaseModel):
    """What the index holds and what may be asked."""

    title: str
    version: str
    counts: dict[str, float]
    calibrated: bool
    filters: dict[str, list[tuple[str, int]]]
    folders: list[tuple[str, int]]
    dates: tuple[str, str] | None
    limits: dict[str, float]
    endings: dict[str, list[str]]
    examples: list[Example]


class Drawing(BaseModel):
    """A waveform: the lowest and highest sample of each of its equal parts."""

    start: float
    end: float
    low: list[float]
    high: list[float]


class Point(BaseModel):
    """A row of the index on the map."""

    file: int
    name: str
    start: float
    end: float
    modality: str
    x: float
    y: float


class ArchiveMap(BaseModel):
    """Rows drawn by the first two principal components of their vectors, and the share of variance of each."""

    points: list[Point]
    explained: tuple[float, float]


class Marked(_Asked):
    """A hit to be exported."""

    file: Number
    start: Seconds
    end: Seconds
    query: Annotated[str, Field(max_length=1000)]
    score: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    probability: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _forwards(self) -> Marked:
        if self.end < self.start:
            raise ValueError("it ends before it starts")
        return self


class Export(_Asked):
    """Hits, and the format that they are wanted in."""

    format: Literal["textgrid", "eaf", "csv"]
    hits: list[Marked] = Field(min_length=1, max_length=1000)


class Session(_Asked):
    """The token that `lookhear serve` was given."""

    token: Annotated[str, Field(max_length=1000)]


class Failure(BaseModel):
    """Why there is no answer, and what to do."""

    error: str
    fix: str


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Entries of the OpenAPI document for answers that are no answers."""
    return {status: {"model": Failure} for status in statuses}
