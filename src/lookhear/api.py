"""What stands behind the public names: calls that take folders and names as well as objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookhear.core import Features
from lookhear.data.read import open_corpus, read_source
from lookhear.data.schema import Corpus
from lookhear.data.voiced import voice_corpus
from lookhear.errors import UserError, did_you_mean
from lookhear.models.calibration import Calibration
from lookhear.models.model import Model
from lookhear.recipe import Recipe, load_recipe
from lookhear.tasks.evaluate import evaluate as run_sections
from lookhear.training.calibrate import calibrate_by_labels, calibrate_by_pictures
from lookhear.training.train import open_data

if TYPE_CHECKING:
    from lookhear.tasks.base import Task

__all__ = ["by_kind", "calibrate", "embed", "evaluate", "find_corpus", "load", "recipe_of"]


def load(run: Path | str) -> Model:
    """The model of a run folder, ready to use: ``lookhear.load(run).embed(["a red boat"])``.

    Raises:
        UserError: no run there, one of another format, or damaged files.
    """
    return Model.load(run)


def embed(run: Path | str | Model, things: Iterable[Any]) -> Features:
    """Features of recordings, pictures or texts; see ``Model.embed``."""
    return (run if isinstance(run, Model) else load(run)).embed(things)


def recipe_of(run: Path | str) -> Recipe:
    """The resolved recipe of a run folder.

    Raises:
        UserError: there is none, or another version of LookHear wrote it.
    """
    path = Path(run) / "recipe.toml"
    if not path.is_file():
        raise UserError(f"{run}: no run (recipe.toml is missing)", "Give a folder `lookhear train` wrote.")
    return load_recipe(str(path))


def find_corpus(
    on: Path | str,
    recipe: Recipe | None = None,
    root: Path | str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Corpus:
    """The corpus that ``evaluate --on`` names.

    Args:
        on: a prepared folder, a folder or file with a manifest, or the name of a data set under ``root``.
        recipe: where it has a source of the folder's name, that source's columns, vectors and captions are used, and
            captions are voiced as in training if the data set has no recordings.
        columns: our name → the manifest's; they come before those of the recipe.

    Raises:
        UserError: nothing of that name, or a mistake in its manifest.
    """
    path = Path(on)
    if not path.exists() and root is not None:
        path = Path(root) / on
    if not path.exists():
        known = [p.name for p in Path(root).iterdir() if p.is_dir()] if root is not None and Path(root).is_dir() else []
        hint = f"{did_you_mean(str(on), known)} " if known else ""
        raise UserError(f"{on}: no such corpus", f"{hint}Give its folder, or the data root with --data.")
    folder = path.resolve()
    sources = {s.name: s for s in recipe.data.sources} if recipe is not None else {}
    if folder.name not in sources or folder.is_file():
        return open_corpus(path, columns)
    source = sources[folder.name]
    if columns:
        source = source.model_copy(update={"columns": {**source.columns, **columns}})
    corpus = read_source(source, folder.parent, folder=folder)
    if recipe is not None and recipe.data.voiced is not None and not len(corpus.recordings):
        corpus = voice_corpus(corpus, recipe.data.voiced)
    return corpus


def calibrate(
    run: Path | str,
    corpus: Corpus | Path | str | None = None,
    split: str | None = None,
    *,
    data: Path | str | None = None,
    columns: Mapping[str, str] | None = None,
    words: Mapping[str, str] | None = None,
    truth: str = "text",
) -> Calibration:
    """Learns how sure scores make hits, and leaves it in the run folder, where ``load`` finds it.

    Without ``corpus`` from the pictures of the run's held-out recordings under ``data``, as training does at its end;
    with one, from recordings of which it is known what they say, starting from the calibration that is there.

    Args:
        corpus, split, data, columns: as of ``evaluate``; all items by default.
        words: word → what ``truth`` calls it.
        truth: "text", or the column that holds what is said.

    Raises:
        UserError: no run, no data, nothing to learn from, or no calibration yet that labels could go on from.
    """
    model, recipe = Model.load(run, calibrated=corpus is not None), recipe_of(run)
    if corpus is None:
        if data is None:
            raise UserError("no corpus to calibrate on", "Name the run's data root with --data, or labels with --on.")
        found = calibrate_by_pictures(model, recipe, open_data(recipe, Path(data)))
        if isinstance(found, str):
            raise UserError(f"{run}: {found}", "Name held-out splits in data.calibration, or give labels with --on.")
    else:
        if model.calibration is None:
            raise UserError(f"{run} has no calibration to go on from", "Calibrate it on its own data first (--data).")
        if not words:
            raise UserError("no words to calibrate", "Name those that are labelled: -w dog -w boat.")
        corpus = corpus if isinstance(corpus, Corpus) else find_corpus(corpus, recipe, data, columns)
        labelled = corpus if split is None else corpus.select(split)
        asked = {word: (value,) for word, value in words.items()}
        found = calibrate_by_labels(model.calibration, model, labelled, asked, truth)
    found.save(Path(run))
    return found


def evaluate(
    run: Path | str | Model,
    corpus: Corpus | Path | str | None = None,
    split: str | None = "test",
    sections: Sequence[Task] | None = None,
    *,
    data: Path | str | None = None,
    columns: Mapping[str, str] | None = None,
    like: Recipe | str | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Runs evaluation sections on any corpus that has the columns they need.

    Args:
        run: a run folder, or a model (then name the corpus and the sections).
        corpus: a corpus, or what ``find_corpus`` takes; by default the run's own data under ``data``.
        split: its items; None takes all, and so does any name where the corpus knows no splits.
        sections: by default those of the run's recipe.
        data: the data root.
        columns: our name → the manifest's, for ``corpus``.
        like: a recipe whose evaluation sections and data stand in for those of the run's own: how well does what was
            learned on one corpus carry over to another?
        say: is told, in one line each, what was skipped and why.

    Returns:
        Section name → result, JSON-able; see ``lookhear.tasks``.

    Raises:
        UserError: no run, no corpus, no such split, or no section that can be run on it.
    """
    model, recipe = (run, None) if isinstance(run, Model) else (load(run), recipe_of(run))
    if like is not None:
        recipe = load_recipe(like) if isinstance(like, str) else like
    if sections is None:
        if recipe is None:
            raise UserError("a model brings no evaluation sections", "Give sections, or the run folder.")
        if not recipe.evaluate:
            whose = f"recipe {recipe.name or '?'}" if like is not None else f"{run}: its recipe"
            raise UserError(f"{whose} has no evaluation sections", "Give sections, or add [[evaluate]].")
        sections = recipe.evaluate
    if corpus is None:
        if recipe is None or data is None:
            raise UserError("no corpus to evaluate on", "Name one with --on, or the run's data root with --data.")
        corpus = open_data(recipe, Path(data), progress)
    elif not isinstance(corpus, Corpus):
        corpus = find_corpus(corpus, recipe, data, columns)
    if split is not None and not corpus.has("split"):
        say(f"{corpus.name or corpus.root} has no splits: all of it is used")
    elif split is not None:
        corpus = corpus.select(split)
    return run_sections(model, corpus, sections, progress, say)


def by_kind(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """``evaluate``'s results as ``--json`` writes them: sections under their kind, as ``spotting.spoken``.

    A section called like its kind is that kind's own: ``retrieval.audio_to_image``.
    """
    tree: dict[str, Any] = {}
    for name, result in results.items():
        place = tree.setdefault(result["kind"], {})
        if name == result["kind"]:
            place.update(result)
        else:
            place[name] = result
    return tree
