"""A run's model card: a README.md that people read, with the header that the Hugging Face hub reads."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lookhear.core import Section
from lookhear.data.schema import Corpus
from lookhear.data.summary import summarise
from lookhear.errors import UserError
from lookhear.exports.figures import header_figures, read_results
from lookhear.exports.hub_library import hub_library
from lookhear.models.model import Model
from lookhear.recipe import Recipe, load_recipe
from lookhear.tasks.tables import tables

__all__ = ["is_synthetic", "model_card", "recipe_of_run"]

_LIMITS = """- It hears words that its training pictures showed. Names, abstract words and function words are not found.
- A score says how alike a moment and a query are, not that the word was said. Where the run has a calibration
  (`calibration.safetensors`), probabilities were learned from held-out pictures of its own corpus; on other speech they
  want checking (`lookhear calibrate`).
- How well it does on other voices, rooms, languages and pictures than those it learned from is not known until it is
  measured there: `lookhear evaluate {folder} --on CORPUS`.
- It is for searching recordings. It is no transcription, and no ground for decisions about those who speak in them."""


def model_card(
    run: Path | str,
    name: str = "",
    *,
    corpus: Corpus | None = None,
    results: Path | str | None = None,
    licence: str = "",
) -> str:
    """The text of a run's card.

    Args:
        run: the run folder.
        name: what the model is called; the recipe's name by default.
        corpus: what it was trained on, where that shall be counted; run folders name only the data sets of a recipe.
        results: JSON that ``lookhear evaluate --json`` wrote of this run, on its own test data.
        licence: identifier that the hub knows, such as "cc-by-4.0"; nothing is said of it otherwise.

    Raises:
        UserError: no run, results that are none, or huggingface_hub is not installed.
    """
    run = Path(run)
    recipe, model = recipe_of_run(run), Model.load(run)
    name = name or recipe.name or run.name
    found = read_results(results) if results is not None else {}
    header = _header(name, recipe, corpus, found, licence)
    parts = [
        f"---\n{header}\n---\n\n# {name}",
        _purpose(recipe, corpus),
        "## Use\n\n" + _use(name),
        "## Towers\n\n" + _towers(model, recipe),
        "## Trained on\n\n" + _data(recipe, corpus),
        "## Figures\n\n" + _figures(found),
        "## Limits\n\n" + _LIMITS.format(folder="model"),
        f"Written by LookHear {importlib.metadata.version('lookhear')} from the run; `recipe.toml` holds all settings.",
    ]
    return "\n\n".join(parts) + "\n"


def recipe_of_run(run: Path) -> Recipe:
    """
    Raises:
        UserError: no run folder.
    """
    path = run / "recipe.toml"
    if not path.is_file():
        raise UserError(f"{run}: no run (recipe.toml is missing)", "Give a folder `lookhear train` wrote.")
    return load_recipe(str(path))


def is_synthetic(recipe: Recipe, corpus: Corpus | None) -> bool:
    """Whether a synthesiser spoke what the run learned from, as far as recipe and corpus tell."""
    if recipe.data.voiced is not None or (not recipe.data.sources and recipe.name.startswith("picturebook")):
        return True
    if corpus is None:
        return False
    made = {corpus.name, corpus.meta.get("name"), corpus.meta.get("layout")}
    return bool(made & {"picturebook", "speechcoco"}) or "synthetic" in corpus.table.column_names


def _header(name: str, recipe: Recipe, corpus: Corpus | None, found: Mapping[str, Any], licence: str) -> str:
    hub = hub_library()
    trained = [s.name for s in recipe.data.sources if not s.evaluate_only] or ([corpus.name] if corpus else [])
    measured = recipe.name or "unnamed"
    tags = ["speech", "keyword-spotting", "speech-search", "visually-grounded-speech"]
    data = hub.ModelCardData(
        language=_languages(corpus) or None,
        license=licence or None,
        library_name="lookhear",
        tags=[*tags, "synthetic-speech"] if is_synthetic(recipe, corpus) else tags,
        datasets=[t for t in trained if t] or None,
        model_name=name,
        eval_results=[
            hub.EvalResult(
                task_type=kind,
                dataset_type=measured,
                dataset_name=f"test data of the recipe {measured}",
                metric_type=metric,
                metric_name=f"{section}: {metric}",
                metric_value=round(figure["value"], 4),
                metric_args={k: round(figure[k], 4) for k in ("low", "high", "chance", "size") if figure.get(k)},
            )
            for kind, section, metric, figure in header_figures(found)
        ],
    )
    return str(data.to_yaml())


def _languages(corpus: Corpus | None) -> list[str]:
    """Codes of the languages that are spoken in the corpus, as the hub takes them."""
    if corpus is None or not corpus.has("language"):
        return []
    spoken = corpus.table["language"].take(corpus.recordings).unique().to_pylist()
    return sorted(str(v) for v in spoken if v and re.fullmatch("[a-z]{2,3}", v))


def _purpose(recipe: Recipe, corpus: Corpus | None) -> str:
    texts = recipe.data.texted > 0 or any(getattr(o, "b", "") == "text" for o in recipe.objectives)
    how = "from pictures and from written captions" if texts else "from pictures alone, without transcripts"
    text = (
        "Finds written words, pictures and spoken examples in recordings of speech, and where in them they are. The "
        f"speech tower learned {how}, by what a teacher sees."
    )
    if is_synthetic(recipe, corpus):
        text += " **The speech that it learned from is synthetic** (made by a synthesiser, not spoken by people)."
    return text


def _use(name: str) -> str:
    where = name if "/" in name else f"OWNER/{name}"
    return f"""```sh
pip install 'lookhear[text,hub,search]'
lookhear pull {where} model
lookhear index model ~/recordings -o index
lookhear search index "a red boat"
lookhear spot model tape.wav -w dog
```

```python
import lookhear

model = lookhear.load("model")
texts, speech = model.embed(["a red boat"]), model.embed(["a.wav"])
speech.pooled @ texts.pooled.T  # similarities
```"""


def _towers(model: Model, recipe: Recipe) -> str:
    own = model.state_to_save()

    def count(beginning: str) -> str:
        kept: list[Tensor] = [v for k, v in own.items() if k.startswith(beginning)]
        return f"{sum(v.numel() for v in kept):,}"

    teacher: Section = recipe.teacher
    source = str(getattr(teacher, "name", "") or getattr(teacher, "encoder", ""))
    rows = [
        ("speech", recipe.speech.kind, count("audio."), f"a vector each {1000 * model.step:g} ms"),
        ("pictures", recipe.teacher.kind, count("teacher.image."), ""),
        ("texts", source, count("teacher.text."), "what is not kept here is found again by its name"),
    ]
    lines = ["| tower | kind | numbers kept here | |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(_cell(c) for c in row)} |" for row in rows]
    return "\n".join(lines) + f"\n\nAll meet in one space of {model.dim} dimensions."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _data(recipe: Recipe, corpus: Corpus | None) -> str:
    sources = [s.name for s in recipe.data.sources if not s.evaluate_only]
    steps = recipe.training
    lines = [
        f"- Recipe `{recipe.name or 'unnamed'}`, seed {recipe.seed}: {steps.epochs:g} epochs of batches of "
        f"{steps.batch_size}; objectives {', '.join(o.kind for o in recipe.objectives)}.",
        f"- Splits: the teacher learned from {_listed(recipe.data.teacher)}, speech from {_listed(recipe.data.train)}.",
    ]
    if sources:
        lines.append(f"- Data sets: {_listed(sources)}.")
    if recipe.data.voiced is not None:
        lines.append("- Written captions were voiced by a synthesiser (**synthetic speech**).")
    if corpus is None:
        if not sources:
            lines.append("- The run folder does not name its corpus.")
        return "\n".join(lines)
    told = summarise(corpus)
    head = [f"| {' | '.join(('', *(p.name for p in told.parts)))} |", f"|{'---|' * (len(told.parts) + 1)}"]
    rows = [f"| {' | '.join(_cell(c) for c in (label, *cells))} |" for label, cells in told.rows()]
    return "\n".join([*lines, "", f"The corpus `{told.name}`:", "", *head, *rows])


def _listed(names: Any) -> str:
    return ", ".join(f"`{n}`" for n in names) or "nothing"


def _figures(found: Mapping[str, Any]) -> str:
    if not found:
        return "None were given to this card. `lookhear evaluate model --on CORPUS` measures it."
    return f"As `lookhear evaluate` printed them:\n\n```\n{tables(found)}\n```"
