"""An archive with what archives have, strange names and links among it; the service on it."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
from serve_checks import HOST, SCRIPT, SPEAKER


@pytest.fixture(scope="session")
def archive(tmp_path_factory, tiny_folder, tiny_run):
    """Folder and index: recordings, pictures, a text, a tape, a script as a name, links inside and out."""
    from lookhear.search.details import read_details
    from lookhear.search.update import index_files

    base = tmp_path_factory.mktemp("archive")
    folder, outside = base / "tapes", base / "elsewhere"
    shutil.copytree(tiny_folder, folder)
    outside.mkdir()
    recordings = sorted(folder.glob("*.flac"))
    shutil.copy(recordings[0], folder / SCRIPT)
    (folder / "notes.txt").write_text("a red boat\na dog in the snow\n")
    rng = np.random.default_rng(0)
    sf.write(folder / "tape.wav", rng.standard_normal((44_100 * 25, 2)) * 0.1, 44_100)
    secret = sf.read(recordings[1])[0][: 16_000 // 2]
    sf.write(outside / "secret.wav", secret, 16_000)
    (folder / "link-out.wav").symlink_to(outside / "secret.wav")
    (folder / "link-in.flac").symlink_to(recordings[2].name)
    spoken = [(SPEAKER, "lt", "1957-03-21"), ("Ana", "lt", "1960"), ("Jon", "en", "")]
    with (folder / "details.csv").open("w") as table:
        rows = csv.writer(table)
        rows.writerow(["file", "speaker", "language", "date"])
        rows.writerows([path.name, *about] for path, about in zip(recordings, spoken))
    index = base / "index"
    index_files(tiny_run, [folder], index, details=read_details(folder / "details.csv")).close()
    return SimpleNamespace(folder=folder, outside=outside, index=index, recordings=recordings)


@pytest.fixture(scope="session")
def searcher(archive):
    from lookhear.search.searcher import Searcher

    return Searcher(archive.index)


@pytest.fixture(scope="session")
def make_service(archive, searcher):
    """``make_service(limits)`` → a service of its own on the archive."""
    from lookhear.search.searcher import Searcher
    from lookhear.serve.service import Service

    def make(limits=None, index=archive.index, linked=()):
        own = Searcher(index, searcher.model)
        return Service(own, lambda: Searcher(index, searcher.model), limits, linked=linked)

    return make


@pytest.fixture(scope="session")
def client(make_service):
    """A client of the service as it is by default."""
    from starlette.testclient import TestClient

    from lookhear.serve.app import create_app

    with TestClient(create_app(make_service()), base_url=HOST) as found:
        yield found


@pytest.fixture
def client_of(archive, make_service):
    """``client_of(limits, token=…)`` → a client of a service that is otherwise."""
    from contextlib import ExitStack

    from starlette.testclient import TestClient

    from lookhear.serve.app import create_app

    with ExitStack() as stack:

        def make(limits=None, index=archive.index, linked=(), **options):
            service = make_service(limits, index, linked)
            return stack.enter_context(TestClient(create_app(service, **options), base_url=HOST))

        yield make


@pytest.fixture(scope="session")
def number(client, searcher):
    """Name of a file → its number."""
    return {Path(s.path).name: s.id for s in searcher.index.sources()}
