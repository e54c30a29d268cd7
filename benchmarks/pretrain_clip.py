"""Pretrains a small CLIP here, in the real format, on half of what another corpus shows, so that finetuning has to do.

    python benchmarks/pretrain_clip.py --out clip-small                       # ten minutes of one core
    python benchmarks/pretrain_clip.py --out clip-digits --digits DATA        # a minute or two

Pages of another picture book (another seed, so other scenes, drawn otherwise) that show only every other thing: the
model never sees the other half, nor reads its names. No page shows what a validation or test page of the book of seed 0
shows. Or handwritten zeros to fours, with the captions of the recipe `digits-en`.

What comes out is a ``CLIPModel`` of transformers, image processor and byte-level tokenizer beside it, which a recipe
names by its folder (``kind = "clip"``), and ``pretraining.json``, which says what it has seen and how well it finds
pictures of its own kind that it has not.
"""

from __future__ import annotations

import argparse
import io
import json
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from lookhear.core import Padded
from lookhear.data.picturebook.plan import DEFAULT_SCENES, Told, plan
from lookhear.data.picturebook.scene import Scene, draw_scene
from lookhear.data.picturebook.words import THINGS, written_names
from lookhear.data.read import read_source
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.models.model import Model
from lookhear.models.teacher import PROMPTS, ClipTeacher
from lookhear.models.texts import require_transformers
from lookhear.objectives.base import Learner
from lookhear.objectives.contrastive import InfoNCE
from lookhear.recipe import Optimisation, load_recipe
from lookhear.training.bridge import bridge, captioned, told
from lookhear.training.finetune import CaptionBatches
from lookhear.training.fit import fit
from lookhear.training.pictures import picture_tensor

SIZE, DIGIT_SIZE, PATCH, TOKENS = 64, 32, 8, 48
DIGITS = 5  # from zero
LEFT_OUT = frozenset(THINGS[1::2])
WORDS = 100  # whose spotting is measured
SPECIAL = ("<pad>", "<s>", "<unk>", "</s>")


def pages(count: int, seed: int) -> list[Told]:
    """Of ``count`` scenes of a book, those that show nothing left out and nothing that the other book tests."""
    tested = {content(t.scene) for t in plan({s: DEFAULT_SCENES[s] for s in ("test", "open", "val")}, 0)}
    drawn = plan({"teacher": count}, seed)
    return [t for t in drawn if LEFT_OUT.isdisjoint(p.thing for p in t.scene.things) and content(t.scene) not in tested]


def content(scene: Scene) -> tuple[object, ...]:
    return (scene.place, *sorted((p.thing, p.colour, str(p.size)) for p in scene.things))


def written(told_pages: Iterable[Told], held: int) -> Corpus:
    """Pictures and texts; the first ``held`` pages are the split "held", the others "train".

    Pages that are learned from have beside each caption a short text, as alt texts often are: the name of one of the
    things, alone or in a template. From captions alone so few pages teach places and colours, and hardly any thing.
    """
    rows: list[dict[str, Any]] = []
    for i, page in enumerate(told_pages):
        common = {"group": page.id, "split": "held" if i < held else "train"}
        png = io.BytesIO()
        draw_scene(page.scene, random.Random(page.seed), SIZE)[0].save(png, "PNG", compress_level=1)
        rows.append({**common, "id": page.id, "image": {"path": None, "bytes": png.getvalue()}})
        texts = [s.text for s in page.said]
        if i >= held:
            rng = random.Random(f"{page.seed}/short")
            texts += [rng.choice(PROMPTS).format(word=name(page, k, rng)) for k in range(len(page.said))]
        rows += [{**common, "id": f"{page.id}-{k}", "text": text} for k, text in enumerate(texts)]
    return Corpus(pa.Table.from_pylist(rows, schema=SCHEMA), Path(), "pages")


def name(page: Told, number: int, rng: random.Random) -> str:
    """One of the names of a page's things, which take turns."""
    things = page.scene.things
    return rng.choice(written_names()[things[number % len(things)].thing])


def digits(data: Path) -> Corpus:
    """Handwritten zeros to fours and what is written of them; those of the validation split are "held"."""
    source = next(s for s in load_recipe("digits-en").data.sources if s.captions)
    corpus = read_source(source, data)
    split = np.array(corpus.column("split"), dtype=object)
    kept = corpus.take((np.array(corpus.column("digit")) < DIGITS) & np.isin(split, ("train", "val")))
    splits = pa.array(["held" if s == "val" else "train" for s in kept.column("split")])
    at = kept.table.schema.get_field_index("split")
    return replace(kept, table=kept.table.set_column(at, "split", splits))


def tokenizer(texts: Iterable[str], size: int) -> Any:
    """A byte-level BPE learned from the captions, so that words it never met are read in pieces."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    inner = Tokenizer(models.BPE(unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    ends = [("<s>", 1), ("</s>", 3)]
    inner.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return require_transformers().PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=TOKENS,
    )


def untrained(folder: Path, words: Any, width: int, layers: int, text_layers: int, size: int = SIZE) -> None:
    """A CLIP with random weights and all its files."""
    transformers = require_transformers()
    tower = {"hidden_size": width, "intermediate_size": 4 * width, "num_attention_heads": max(1, width // 32)}
    text = {
        **tower,
        "num_hidden_layers": text_layers,
        "vocab_size": len(words),
        "max_position_embeddings": TOKENS,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 3,  # 2 would have transformers read CLIP's first tokenizer's end, the highest number
    }
    vision = {**tower, "num_hidden_layers": layers, "image_size": size, "patch_size": PATCH}
    square = {"height": size, "width": size}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=width)
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessor(size={"shortest_edge": size}, crop_size=square).save_pretrained(folder)
    words.save_pretrained(folder)


def pretrain(folder: Path, corpus: Corpus, loop: Optimisation) -> dict[str, Any]:
    """Trains all weights of the model in the folder by InfoNCE(picture, caption), CLIP's own loss, and puts them back.

    Returns:
        the bridge over the pages that were held out.
    """
    lesson = captioned(corpus, ["train"])
    model = Model(ClipTeacher(name=str(folder)).build(), None).requires_grad_(True)
    column, pictures = lesson.column("text"), lesson.pictures
    pixels = picture_tensor(lesson, pictures, model.image)
    tokenize: Any = model.text.tokenize
    source = CaptionBatches(
        lambda rows: Padded(pixels[torch.from_numpy(rows)].float() / 255),
        lesson.groups[pictures],
        tokenize,
        [column[i] for i in lesson.texts],
        lesson.groups[lesson.texts],
        loop.batch_size,
        loop.seed,
    )
    loss = InfoNCE(InfoNCE.Config(a="image", b="text"))
    fit(Learner(model, [loss]), source, loop, name="clip", folder=folder)
    (folder / "clip.checkpoint").unlink()
    clip: Any = model.image.model
    with torch.no_grad():
        clip.logit_scale.copy_(loss.logit_scale)
    clip.eval().save_pretrained(folder)
    model.eval().requires_grad_(False)
    return bridge(model, captioned(corpus, ["held"]), WORDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    parser.add_argument("--digits", type=Path, help="the data root: handwritten digits instead of a book")
    parser.add_argument("--scenes", type=int, default=14_000, help="of the book, before the left-out things")
    parser.add_argument("--held", type=int, default=500, help="pages that are asked afterwards")
    parser.add_argument("--book", type=int, default=7, help="the seed of the book")
    parser.add_argument("--epochs", type=float, default=20.0)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3, help="of the image tower")
    parser.add_argument("--text-layers", type=int, default=2)
    parser.add_argument("--vocabulary", type=int, default=512, help="of the tokenizer")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order")
    args = parser.parse_args()
    if args.out.exists():
        parser.error(f"{args.out} is there already; name another folder")
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    corpus = digits(args.digits) if args.digits else written(pages(args.scenes, args.book), args.held)
    size = DIGIT_SIZE if args.digits else SIZE
    train = captioned(corpus, ["train"])
    words = tokenizer([train.column("text")[i] for i in train.texts], args.vocabulary)
    untrained(args.out, words, args.width, args.layers, args.text_layers, size)
    loop = Optimisation(
        epochs=args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        weight_decay=0.1,
        seed=args.seed,
    )
    found = pretrain(args.out, corpus, loop)
    about = {
        "pictures": len(train.pictures),
        "texts": len(train.texts),
        "left out": list(range(DIGITS, 10)) if args.digits else sorted(LEFT_OUT),
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()},
        "held": found,
    }
    (args.out / "pretraining.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    asked = len(captioned(corpus, ["held"]).pictures)
    print(f"{len(train.pictures)} pictures, {len(train.texts)} texts; on {asked} others: {told(found)}")


if __name__ == "__main__":
    main()
