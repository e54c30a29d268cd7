"""Written captions turned into recordings: synthetic speech, always called so, kept once it is made."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from lookhear.core import RATE, Section
from lookhear.data.cache import cache_folder
from lookhear.data.schema import SCHEMA_VERSION, Corpus
from lookhear.data.store import read_store, write_corpus
from lookhear.errors import UserError

__all__ = ["Voiced", "voice_corpus"]


class Voiced(Section):
    """How written captions are spoken.

    Attributes:
        renderings: how often each training caption is spoken, in different voices and rooms; others are spoken once.
        test_splits: splits spoken in voices that training never uses.
        strength: of rooms and noise.
    """

    renderings: int = Field(2, ge=1)
    test_splits: tuple[str, ...] = ("val", "test")
    strength: float = Field(1.0, ge=0)
    seed: int = 0


def voice_corpus(corpus: Corpus, config: Voiced, progress: bool = True) -> Corpus:
    """The corpus with a synthetic recording for every text that has none; other columns are kept.

    The result is kept in the cache folder under a name made of the texts and settings, and read from there next time.
    Its ``speaker`` is the synthesiser's voice, and ``synthetic`` is True.
    """
    silent = corpus.take(pc.invert(corpus.table["audio"].is_valid()))
    rows = [r for r in silent.table.select(["id", "split", "text"]).to_pylist() if r["text"]]
    if not rows:
        raise UserError(f"{corpus.name}: no written captions to voice", "Leave data.voiced out.")
    key = json.dumps([SCHEMA_VERSION, config.model_dump(mode="json"), [(r["id"], r["split"], r["text"]) for r in rows]])
    folder = cache_folder() / "voiced" / hashlib.sha256(key.encode()).hexdigest()[:24]
    if not (folder / "corpus.json").is_file():
        write_corpus(_spoken(rows, config, progress), folder, {"name": f"{corpus.name} (synthetic speech)"})
    return _joined(corpus, read_store(folder))


def _spoken(rows: list[dict[str, Any]], config: Voiced, progress: bool) -> Iterator[dict[str, Any]]:
    import soundfile as sf

    from lookhear.data.voices import TEST_VOICES, TRAIN_VOICES, voice_captions

    for voices, wanted in ((TRAIN_VOICES, False), (TEST_VOICES, True)):
        chosen = [r for r in rows if (r["split"] in config.test_splits) == wanted]
        turns = 1 if wanted else config.renderings
        texts = [(f"{r['id']}/{k}" if turns > 1 else r["id"], r["text"]) for r in chosen for k in range(turns)]
        spoken = voice_captions(texts, voices, seed=config.seed, strength=config.strength, progress=progress)
        for key, wave, words, voice in spoken:
            buffer = io.BytesIO()
            sf.write(buffer, wave, RATE, format="FLAC", subtype="PCM_16")
            times = [{"word": w, "start": s, "end": e} for w, s, e in words]
            yield {"id": key, "audio": {"path": None, "bytes": buffer.getvalue()}, "words": times, "speaker": voice}


def _joined(corpus: Corpus, spoken: Corpus) -> Corpus:
    """The captions' rows, once for each rendering, with sound, word times and voice put in."""
    place = {k: i for i, k in enumerate(corpus.table["id"].to_pylist())}
    ids = spoken.table["id"].to_pylist()
    source = [place[k if k in place else k.rsplit("/", 1)[0]] for k in ids]
    table = corpus.take(source).table
    for name in ("id", "audio", "words", "speaker"):
        table = table.set_column(table.column_names.index(name), name, spoken.table[name])
    table = table.append_column("synthetic", pa.array([True] * len(ids)))
    rest = sorted(set(range(len(corpus))) - set(source))
    both = pa.concat_tables([table, corpus.take(rest).table], promote_options="permissive")
    return Corpus(both, corpus.root, corpus.name, {**corpus.meta, "synthetic speech": True})
