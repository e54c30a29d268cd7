"""Whether made vectors are as hard to search as a model's: both beside each other, so many of each.

    PYTHONPATH=benchmarks python -m engines.likeness RUN --book BOOK

Printed: in how many directions so much of the energy lies, the median cosine of a query with its 1st, 10th and 100th,
and recall@10 of an inverted file of 64 lists (FAISS IVF64,SQ8) that reads 1, 2, 4, 8 or 16 of them. RUN is a run of the
recipe `picturebook`, BOOK its picture book (synthetic speech): pooled vectors of training recordings, asked by texts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import lookhear
from engines.data import K, Mixture, exact
from lookhear.audio import load_audio
from lookhear.models.model import Model
from reporting import markdown

ENERGY, NEAR, LISTS, READ = (0.8, 0.9, 0.95), (1, 10, 100), 64, (1, 2, 4, 8, 16)
AT_ONCE = 200


def of_a_model(run: Path, book: Path, rows: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) pooled vectors of recordings and (Q, D) of texts, float32."""
    model, corpus = Model.load(run), lookhear.open_corpus(book)
    train, test = corpus.select("train"), corpus.select("test")
    ids = train.recordings.tolist()[:rows]
    parts = [
        model.embed_audio([load_audio(train.media("audio", r)) for r in ids[at : at + AT_ONCE]]).pooled
        for at in range(0, len(ids), AT_ONCE)
    ]
    texts = [t for t in test.column("text") if t][:queries]
    return np.concatenate([p.float().numpy() for p in parts]), model.embed_texts(texts).pooled.float().numpy()


def figures(vectors: np.ndarray, queries: np.ndarray) -> list[str]:
    """A row of the table."""
    import faiss

    energy = np.linalg.svd(vectors, compute_uv=False) ** 2
    share = np.cumsum(energy) / energy.sum()
    near, cosines = exact(vectors, queries, NEAR[-1])
    index = faiss.index_factory(vectors.shape[1], f"IVF{LISTS},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.cp.spherical = True
    index.train(vectors)
    index.add(vectors)
    recalls = []
    for read in READ:
        _, found = index.search(queries, K, params=faiss.SearchParametersIVF(nprobe=read))
        recalls.append(np.mean([np.isin(f, n).mean() for f, n in zip(found, near[:, :K], strict=True)]))
    dims = [f"{np.searchsorted(share, e) + 1}" for e in ENERGY]
    medians = [f"{np.median(cosines[:, n - 1]):.2f}" for n in NEAR]
    return [*dims, *medians, *(f"{100 * r:.0f}" for r in recalls)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Made vectors beside a model's.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--book", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=3_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    args = parser.parse_args()
    head = [f"{100 * e:.0f} % in" for e in ENERGY] + [f"cos {n}." for n in NEAR] + [f"recall % of {n}" for n in READ]
    rows = [["", *head], ["model", *figures(*of_a_model(args.run, args.book, args.rows, args.queries))]]
    for seed in args.seeds:
        made = Mixture(seed)
        rows.append([f"made, seed {seed}", *figures(made.points(args.rows), made.queries(args.queries))])
    print(markdown(rows))


if __name__ == "__main__":
    try:
        main()
    except lookhear.UserError as e:
        sys.exit(f"likeness: {e}")
