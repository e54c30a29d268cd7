"""Recipes: one TOML file says everything a run depends on; `extends` and `--set` change parts of it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, Field, ValidationError, model_validator

from lookhear.balance import BalanceConfig
from lookhear.core import Section
from lookhear.data.augment import Augment
from lookhear.data.looks import Looks
from lookhear.data.pairing import Noise
from lookhear.data.read import Source
from lookhear.data.voiced import Voiced
from lookhear.errors import UserError, did_you_mean
from lookhear.models.speech import LocalTower
from lookhear.models.teacher import EmbeddedTeacher, TeacherConfig
from lookhear.models.towers import SpeechTowerConfig
from lookhear.objectives.asked import AskedWords
from lookhear.objectives.clusters import Clusters
from lookhear.objectives.contrastive import InfoNCE, Margin, Sigmoid
from lookhear.objectives.correlational import Correlational
from lookhear.objectives.cpc import PredictiveCoding
from lookhear.objectives.dense import Dense
from lookhear.objectives.densecl import DenseViews
from lookhear.objectives.dictionary import Dictionary
from lookhear.objectives.distil import Distil
from lookhear.objectives.fastmim import FastMim
from lookhear.objectives.local_contrast import LocalContrast
from lookhear.objectives.matchmap import MatchMap
from lookhear.objectives.mms import MaskedMarginSoftmax
from lookhear.objectives.momentum import MomentumDistillation
from lookhear.objectives.mutual import Mutual
from lookhear.objectives.no_negatives import NoNegatives
from lookhear.objectives.pacl import Pacl
from lookhear.objectives.queue import QueuedInfoNCE
from lookhear.objectives.regression import Regression
from lookhear.objectives.small_loss import SmallLoss
from lookhear.objectives.soft_targets import SoftTargets
from lookhear.objectives.tag_head import TagHeadLoss
from lookhear.objectives.tags import WordTags
from lookhear.objectives.transfer import Transfer
from lookhear.objectives.transforms import Transforms
from lookhear.objectives.triplet import Triplet
from lookhear.partners import PartnersConfig
from lookhear.scoring import Compatibility
from lookhear.tasks import TaskConfig

__all__ = ["Data", "Optimisation", "Recipe", "Stage", "load_recipe", "recipe_names"]


ObjectiveConfig = Annotated[
    InfoNCE.Config
    | QueuedInfoNCE.Config
    | MomentumDistillation.Config
    | SoftTargets.Config
    | SmallLoss.Config
    | MaskedMarginSoftmax.Config
    | Margin.Config
    | Triplet.Config
    | Sigmoid.Config
    | Pacl.Config
    | MatchMap.Config
    | Dense.Config
    | DenseViews.Config
    | Dictionary.Config
    | Distil.Config
    | Mutual.Config
    | Transfer.Config
    | LocalContrast.Config
    | Transforms.Config
    | PredictiveCoding.Config
    | Clusters.Config
    | NoNegatives.Config
    | Regression.Config
    | FastMim.Config
    | Correlational.Config
    | WordTags.Config
    | TagHeadLoss.Config,
    Field(discriminator="kind"),
]


class Data(Section):
    """Which data sets, and what their splits are for.

    Attributes:
        sources: data sets under the data root, read as one corpus.
        voiced: written captions spoken by the synthesiser, for sets that have no recordings.
        teacher: splits the teacher learns from; train, validation and test: the speech tower's.
        calibration: splits whose pictures say which scores of their recordings make a word likely, once training is
            done; no transcript is read. Where nothing is held out, the run is left uncalibrated.
        in_memory: gigabytes of log-mels that are made before training begins and kept in memory; where a corpus has
            more, they are made some batches ahead.
        pictured: share of the training recordings that are learned from pictures.
        texted: share that are learned from their own texts (an objective with b = "text"): the first of those with
            pictures, or with ``texts_apart`` the others first.
        noise: wrong pairs on purpose.
        on_disk: gigabytes of those that are kept, from the first epoch on, in a file that ends with the run; the rest
            is made anew in every epoch.
        partners: whose recording is the second view of a recording ("audio@2"); its own, augmented anew, without it.
    """

    sources: tuple[Source, ...] = ()
    voiced: Voiced | None = None
    teacher: tuple[str, ...] = ("train",)
    train: tuple[str, ...] = ("train",)
    validation: tuple[str, ...] = ("val",)
    calibration: tuple[str, ...] = ("val",)
    test: str = "test"
    in_memory: float = Field(4.0, ge=0)
    on_disk: float = Field(50.0, ge=0)
    pictured: float = Field(1.0, ge=0, le=1)
    texted: float = Field(0.0, ge=0, le=1)
    texts_apart: bool = False
    noise: Noise | None = None
    partners: PartnersConfig | None = None


class Optimisation(Section):
    """How the loop runs.

    Attributes:
        epochs: passes over the training items; fractions are allowed. 0 leaves the speech tower as its stages, or
            ``speech_run``, left it.
        batch_size: items a step, over all processes.
        smaller_batches: sizes that come before it, each for an equal share of the epochs (batch annealing): [16, 32]
            with a batch_size of 64 makes thirds. For speech; a teacher keeps one size.
        part: items that the towers take at a time; a batch larger than memory then costs that of a part and a second
            run of the towers (gradient caching), with the gradient of the whole. 0 takes the batch at once.
        learning_rate: the peak, of AdamW; linear warm-up over ``warmup`` (a share of all steps), then half a cosine to
            ``floor`` × peak.
        average: decay, a step, of the moving average of the weights, which is what is validated and kept; 0 keeps the
            last weights themselves.
        clip: largest gradient norm; 0 for none.
        precision: bf16 halves the work of matrix products where the processor has them; auto looks.
        validate_every: epochs between validations; 0 for none but the last.
        select: dotted path of the validation figure whose best weights are kept; empty keeps the last weights.
        save_every: seconds between checkpoints that a stopped run goes on from.
    """

    epochs: float = Field(20, ge=0)
    batch_size: int = Field(64, ge=2)
    smaller_batches: tuple[Annotated[int, Field(ge=2)], ...] = ()
    part: int = Field(0, ge=0)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    warmup: float = Field(0.1, ge=0, lt=1)
    floor: float = Field(0.0, ge=0, le=1)
    average: float = Field(0.0, ge=0, lt=1)
    clip: float = Field(1.0, ge=0)
    precision: Literal["auto", "bf16", "32"] = "auto"
    seed: int = 0
    validate_every: float = Field(0, ge=0)
    select: str = ""
    save_every: float = Field(60, gt=0)


class Stage(Section):
    """What a tower learns alone, before speech and pictures meet.

    Attributes:
        on: whose tower: "audio" before speech is trained, "image" before a teacher of our own is.
        objectives: over "audio" or "image", and "audio@2" or "image@2", a second view.
        augment: of recordings, and ``augment_second`` of their second view, if it is to be another.
        looks: of pictures.
        partners: whose input is the second view of an item; its own without it.
        freeze: parts of the tower, by the names of its weights, that stay as they are with their statistics.
        splits: that it learns from; those of ``data.train`` without it.
        balance: how the losses of its objectives become one gradient; their sum without it.
    """

    on: Literal["audio", "image"] = "audio"
    objectives: Annotated[tuple[ObjectiveConfig, ...], Field(min_length=1)]
    augment: Augment = Augment()
    augment_second: Augment | None = None
    looks: Looks = Looks()
    partners: PartnersConfig | None = None
    freeze: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    balance: BalanceConfig | None = None
    training: Optimisation = Optimisation()

    @model_validator(mode="after")
    def _learns(self) -> Stage:
        if not self.training.epochs:
            raise ValueError("a stage of 0 epochs teaches nothing: leave it out")
        return self

    @model_validator(mode="after")
    def _asks_no_words(self) -> Stage:
        for config in self.objectives:
            if isinstance(config, AskedWords):
                raise ValueError(f"objective {config.kind!r} asks words of pictures; a stage has one modality alone")
        return self


class Recipe(Section):
    """Everything a run depends on.

    Attributes:
        name: of the recipe.
        seed: of weights, order and augmentation.
        teacher_run: a run whose teacher is used as it is, instead of training one.
        speech_run: a run whose speech tower this one begins as; its [speech] must be the same.
        stages: what towers learn alone before they meet, in this order.
        balance: how the losses of the objectives become one gradient; their sum without it.
        threads: CPU threads; None leaves PyTorch's choice.
        also: more sources that ``evaluate --on NAME`` knows the columns of.
    """

    name: str = ""
    seed: int = 0
    teacher_run: str = ""
    speech_run: str = ""
    threads: int | None = Field(None, ge=1)
    data: Data = Data()
    teacher: TeacherConfig = EmbeddedTeacher()
    speech: SpeechTowerConfig = LocalTower.Config()
    compatibility: Compatibility = Compatibility()
    stages: tuple[Stage, ...] = ()
    objectives: tuple[ObjectiveConfig, ...] = (InfoNCE.Config(),)
    balance: BalanceConfig | None = None
    augment: Augment = Augment()
    training: Optimisation = Optimisation()
    evaluate: tuple[TaskConfig, ...] = ()

    @model_validator(mode="after")
    def _learns(self) -> Recipe:
        if not (self.training.epochs or self.speech_run or any(stage.on == "audio" for stage in self.stages)):
            raise ValueError(
                "training.epochs = 0 keeps what a stage on 'audio' or speech_run taught, and there is none"
            )
        return self

    def to_toml(self) -> str:
        """The resolved recipe, every default written out."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(v) for v in value]
    return value


def recipe_names() -> list[str]:
    """Names of the recipes that come with LookHear."""
    folder = resources.files("lookhear") / "recipes"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))


def _locate(name: str, beside: Path | None) -> tuple[str, Path | None]:
    """The text of a recipe by path (from ``beside``) or by name, and where it lies."""
    path = Path(name) if beside is None else beside / name
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise UserError(f"{path}: no such recipe", "Known recipes: " + ", ".join(recipe_names()) + ".")
        try:
            return path.read_text(encoding="utf-8"), path
        except UnicodeDecodeError as e:
            raise UserError(f"{path}: not UTF-8 text ({e.reason})", "Save it as UTF-8.") from None
    if name in recipe_names():
        return (resources.files("lookhear") / "recipes" / f"{name}.toml").read_text(encoding="utf-8"), None
    raise UserError(f"no recipe {name!r}", did_you_mean(name, recipe_names()))


def _read(name: str, beside: Path | None = None, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    if name in seen:
        raise UserError(f"recipe {name!r} extends itself ({' → '.join((*seen, name))})", "Break the circle.")
    text, path = _locate(name, beside)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise UserError(f"{path or name}: not TOML ({e})", "Mend the line it names.") from None
    parent = values.pop("extends", None)
    if parent is None:
        return values
    if not isinstance(parent, str):
        raise UserError(f"{path or name}: extends = {parent!r}", "Name one recipe, in quotes.")
    folder = path.parent if path else None
    below = folder if folder and (folder / parent).is_file() else None
    return merge(_read(parent, below, (*seen, name)), values)


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the tables of ``change`` laid over it; lists are replaced, and so is a table of another kind."""
    out = dict(base)
    for key, value in change.items():
        old = out.get(key)
        if (
            isinstance(old, Mapping)
            and isinstance(value, Mapping)
            and value.get("kind", old.get("kind")) == old.get("kind")
        ):
            out[key] = merge(old, value)
        else:
            out[key] = value
    return out


def _set(values: dict[str, Any], assignment: str) -> None:
    """``a.b.c=value``; the value is TOML, and what is no TOML is a string."""
    path, equals, text = assignment.partition("=")
    if not equals or not path:
        raise UserError(f"--set {assignment!r}", "Write --set section.key=value.")
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, key = path.strip().split(".")
    at: Any = values
    for name in sections:
        at = at[_place(at, name, path)] if isinstance(at, list) else at.setdefault(name, {})
        if not isinstance(at, (dict, list)):
            raise UserError(f"--set {path}: {name!r} is no section", "Name a section and a key.")
    at[_place(at, key, path) if isinstance(at, list) else key] = value


def _place(items: list[Any], name: str, path: str) -> int:
    """The number of an item in a list of sections."""
    if not name.isdigit() or int(name) >= len(items):
        raise UserError(f"--set {path}: {name!r} is none of {len(items)} sections", "Number them from 0.")
    return int(name)


def load_recipe(name: str, changes: Iterable[str] = ()) -> Recipe:
    """A recipe by name or path, with ``--set`` changes.

    Raises:
        UserError: all mistakes at once, each with where it is and the nearest right name.
    """
    values = _read(str(name))
    for change in changes:
        _set(values, change)
    return check(values, str(name))


def check(values: Mapping[str, Any], where: str) -> Recipe:
    """Validates plain values into a Recipe."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as e:
        lines = [_explain(error) for error in e.errors()]
        raise UserError(f"recipe {where}: " + "; ".join(lines), "Mend the keys named.") from None


def _explain(error: Any) -> str:
    # Where a section is told apart by its kind, the kind stands in the location; it is no key of the file.
    where = list(error["loc"])
    path = ".".join(str(part) for i, part in enumerate(where) if not _is_kind(where, i))
    if error["type"] == "extra_forbidden":
        fields = _fields(error["loc"][:-1])
        return f"{path}: unknown key, {did_you_mean(str(error['loc'][-1]), fields)}"
    return f"{path}: {error['msg'].lower()} (got {error.get('input')!r})"


def _is_kind(where: list[Any], i: int) -> bool:
    """Whether this part of a validation error's location is the kind of the section before it."""
    if i and where[i - 1] in ("teacher", "speech", "finetune", "by", "partners", "balance"):
        return not isinstance(where[i], int)
    return i > 1 and where[i - 2] in ("objectives", "evaluate") and isinstance(where[i - 1], int)


def _fields(location: tuple[Any, ...]) -> list[str]:
    """Keys that the section at a validation error's location has."""
    from typing import get_args

    at: Any = Recipe
    for part in location:
        options = [at]
        while not any(isinstance(o, type) and issubclass(o, BaseModel) for o in options) and options:
            options = [a for o in options for a in get_args(o)]
        models = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if isinstance(part, int):
            continue
        chosen = [m for m in models if part in m.model_fields]
        kinds = [m for m in models if part in {f.default for k, f in m.model_fields.items() if k in ("kind", "mode")}]
        if kinds and len(models) > 1:  # several kinds: the location names one, which may be a key of theirs as well
            at = kinds[0]
        elif chosen:
            at = chosen[0].model_fields[part].annotation
    options = [at]
    for _ in range(6):
        models = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if models:
            return sorted({f for m in models for f in m.model_fields})
        options = [a for o in options for a in get_args(o)]
    return []


def json_schema() -> str:
    """JSON schema of a recipe, for editors."""
    return json.dumps(Recipe.model_json_schema(), indent=2)
