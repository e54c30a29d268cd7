"""Index folders of recordings (and pictures) once, then ask for what is said in them, in written words.

python examples/search_recordings.py RUN FOLDER "a red boat" umbrella
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lookhear
from lookhear.search.update import index_files


def main() -> None:
    parser = argparse.ArgumentParser(description="Search recordings.")
    parser.add_argument("run", type=Path, help="a run folder of `lookhear train`, or demo-out/run")
    parser.add_argument("folder", type=Path, help="recordings of any format, rate and length; pictures too")
    parser.add_argument("queries", nargs="+", help="texts, or paths of pictures or recordings")
    parser.add_argument("--index", type=Path, default=Path("index"), help="where to keep it (%(default)s)")
    parser.add_argument("-k", type=int, default=5, help="hits a query (%(default)s)")
    args = parser.parse_args()

    index_files(args.run, [args.folder], args.index, say=print, progress=True)
    searcher = lookhear.Searcher(args.index)
    for query in args.queries:
        print(query)
        for hit in searcher.search(query, args.k):
            print(f"  {hit.score:6.3f}  {hit.start:8.2f}–{hit.end:.2f} s  {hit.file}")


if __name__ == "__main__":
    main()
