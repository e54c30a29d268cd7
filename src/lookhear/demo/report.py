"""``report.html``: one file that explains, shows and plays what the demo did."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from lookhear.data.store import read_store
from lookhear.demo import cards, numbers
from lookhear.demo.steps import Demo, read_json

__all__ = ["as_json", "gather", "write"]

Parts = dict[str, str]


def as_json(results: Mapping[str, Any]) -> bytes:
    """The text of ``results.json``."""
    return (json.dumps(results, indent=2) + "\n").encode()


def gather(demo: Demo) -> Parts:
    """The parts of the page that hold pictures and sound, and what it says of the material.

    Reads ``moments.json`` and ``searches.json``.
    """
    book = read_store(demo.book)
    shelf = cards.Shelf(book, demo.ours.data.test, 96 if demo.quick else 224)
    moments, answers = read_json(demo.out / "moments.json"), read_json(demo.out / "searches.json")
    gallery = book.meta["counts"][demo.ours.data.test]["pictures"]
    return {
        "hero": cards.hero(moments["scenes"][0], shelf) if moments["scenes"] else "",
        "scenes": "".join(cards.scene_card(s, shelf) for s in moments["scenes"]),
        "searches": cards.searches(answers, shelf),
        "retrieved": cards.retrieved(moments, shelf, gallery),
        "learning": numbers.learning(demo.run, demo.seed_run),
        "story": _story(book.meta, demo),
        "quick": "yes" if demo.quick else "",
        "next": _next(demo, book.meta, Path(answers[0]["hits"][0]["file"]).name),
    }


def _story(meta: Mapping[str, Any], demo: Demo) -> str:
    count, test = meta["counts"]["train"], meta["counts"][demo.ours.data.test]
    hours = meta["seconds of audio"]["train"] / 3600
    voices = len(meta["voices"]["train"])
    return (
        f"A speech model was shown {count['pictures']:,} drawn pictures and played {count['recordings']:,} spoken "
        f"captions of them, {hours:.1f} hours of <em>synthetic</em> speech in {voices} voices, and not one transcript. "
        "A teacher that knows pictures and written words stands between the two, so the model can be asked for any "
        "written word, even for one that it has never heard. "
        f"Everything below was measured on {test['pictures']:,} new pictures, with half of their recordings in voices "
        "that training never used."
    )


def _section(name: str, title: str, lead: str, body: str) -> str:
    return f'<section id="{name}"><h2>{title}</h2><p class="lead">{lead}</p>{body}</section>'


KEY = (
    '<ul class="key"><li><i class="ours"></i>our tower</li><li><i class="seed"></i>the seed’s tower</li>'
    '<li><i class="teacher"></i>the teacher</li></ul>'
)


def _sections(parts: Parts, evaluation: numbers.Evaluation, results: Mapping[str, Any]) -> str:
    return "".join(
        [
            _section(
                "find",
                "Where is the word?",
                "Test recordings drawn at random, one for each place of the picture book. Choose a word: the curve is "
                "the model’s score for it over time, the <span class='k true'>band</span> is where it is really said, "
                "the <span class='k found'>line</span> is where the model found it.",
                f'<div class="scenes">{parts["scenes"]}</div>',
            ),
            _section(
                "search",
                "Search speech for written words",
                "The first answers among test recordings in unseen voices. The coloured stretch is the moment found, "
                "the marked words are what is said there. The number is the similarity.",
                parts["searches"],
            ),
            _section(
                "retrieval",
                "How good is it?",
                "Speech, pictures and texts, each asked for the others. The seed’s tower is the design that LookHear "
                "grew from, trained here by the same teacher for as many steps.",
                numbers.retrieval_table(evaluation),
            ),
            _section(
                "spotting",
                "Open vocabulary",
                "Which recordings say this word? Asked for words that training speech says, for synonyms that it never "
                "says, and for things that it neither says nor shows.",
                numbers.spotting_table(evaluation) + numbers.voices_table(evaluation),
            ),
            _section(
                "words",
                "Word by word",
                "Average precision in percent. The bar is our tower, the dot the seed’s tower, the upright stroke the "
                "teacher on pictures.",
                KEY + numbers.words(evaluation),
            ),
            _section(
                "learning",
                "How it learned",
                "The loss at every step of the three lessons.",
                KEY + parts["learning"],
            ),
            _section(
                "cases",
                "The best and the worst",
                "What is said, and the first three of all test pictures for it. The right picture is framed.",
                parts["retrieved"],
            ),
            _section("cost", "What it took", "On this computer, with no network.", numbers.spending(results)),
        ]
    )


def write(parts: Parts, evaluation: numbers.Evaluation, results: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        parts: of ``gather``.
        evaluation: "ours" and "seed_tower" → section → result, with intervals.
        results: of ``results_tree``.
    """
    here = resources.files("lookhear") / "pages"
    style, script = ((here / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    warning = (
        '<p class="quick">A quick run with a handful of scenes: it shows that everything works, not how well.</p>'
        if parts["quick"]
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>LookHear: the demo’s report</title>'
        f"<style>{style}</style></head><body>"
        '<header><div><p class="brand">Look<b>Hear</b></p><h1>It learned to hear by looking at pictures.</h1>'
        f"<p class='story'>{parts['story']}</p>{warning}</div>{parts['hero']}</header>"
        f'<main><div class="tiles">{numbers.tiles(results)}</div>{_sections(parts, evaluation, results)}</main>'
        f"<footer>{parts['next']}</footer><script>{script}</script></body></html>\n"
    )


def _next(demo: Demo, meta: Mapping[str, Any], recording: str) -> str:
    """What to type now, with the names of what lies here."""
    out = shlex.quote(str(demo.out))
    commands = (
        f'lookhear search {out}/index "a yacht at night"',
        f"lookhear spot {out}/run {out}/recordings/{recording} -w umbrella -w parasol",
        f"lookhear index {out}/run FOLDER -o my-index",
    )
    lines = "\n".join(escape(c) for c in commands)
    return (
        "<h2>Go on</h2><p>The model, and an index of some test recordings, lie beside this page.</p>"
        f"<pre>{lines}</pre><p class='note'>All speech here is synthetic: espeak-ng voices with varied rate, pitch, "
        f"room and noise. The pictures are drawn by LookHear; the models see them at {meta['settings']['size']} "
        f"pixels, this page draws them larger. Seed {demo.seed}. The same figures are in results.json, with their "
        "intervals in evaluation.json.</p>"
    )
