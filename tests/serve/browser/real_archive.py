"""A small archive on disk, of made-up sounds and pictures, and lookhear serve on it in a process of its own."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from pathlib import Path

from fake_archive import EVIL, jpeg, samples, wav

SPEAKERS = ["Ana", "Jon", "Petras Ąžuolas", EVIL]
EVIL_NAME = '<img src=x onerror="window.pwned=1">'
RECORDINGS, PICTURES, TEXTS = 30, 24, 24


def write(folder: Path) -> Path:
    """Recordings of twelve seconds by four speakers, pictures, a text of lines; names that carry script among them.
    Returns the table of what is known about them."""
    for name in ("tapes", "pictures", "texts"):
        (folder / name).mkdir(parents=True)
    about = []
    for i in range(RECORDINGS):
        name = f"tapes/{EVIL_NAME if i == 3 else f'tape-{i:02d}'}.wav"
        (folder / name).write_bytes(wav(samples(i)))
        about.append([name, SPEAKERS[i % 4], "lt" if i % 3 else "az", 1950 + i])
    for i in range(PICTURES):
        (folder / "pictures" / f"{EVIL_NAME if i == 3 else f'picture-{i:02d}'}.jpg").write_bytes(jpeg(i, 96))
    lines = [EVIL if i == 2 else f"a red boat on the lake with {i} children" for i in range(TEXTS)]
    (folder / "texts/captions.txt").write_text("\n".join(lines) + "\n")
    table = folder / "details.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "speaker", "language", "date"])
        rows.writerows(about)
    return table


class Service:
    """``lookhear serve`` on an index; ``url`` is where it answers."""

    def __init__(self, index: Path, log: Path) -> None:
        command = [sys.executable, "-m", "lookhear.cli", "serve", str(index), "--port", "0"]
        with log.open("w") as told:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("http://"), log.read_text()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(30) == 0
