"""What only the engine on a server promises: addresses, its lease, and what a writer that died leaves."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from made_up import ABOUT, entry, unit

pytest.importorskip("qdrant_client")

from lookhear.errors import UserError
from lookhear.search.index import Where, create_index, open_index
from lookhear.search.qdrant import writer as writing
from lookhear.search.qdrant.address import parse_address


def refused(call, *args):
    with pytest.raises(UserError) as e:
        call(*args)
    assert "\n" not in str(e.value)
    return str(e.value)


def names(index):
    return [s.path for s in index.sources()]


@pytest.mark.parametrize(
    ("address", "place", "collection", "host", "port", "tls"),
    [
        ("qdrant://localhost:6333/tapes", None, "tapes", "localhost", 6333, False),
        ("qdrant://a-b.example.org:443/tapes-2?tls", None, "tapes-2", "a-b.example.org", 443, True),
        ("qdrant://[::1]:6333/tapes", None, "tapes", "[::1]", 6333, False),
        ("qdrant://:memory:/tapes", ":memory:", "tapes", None, None, None),
        ("qdrant:///srv/qdrant/tapes", "/srv/qdrant", "tapes", None, None, None),
    ],
)
def test_addresses(address, place, collection, host, port, tls):
    read = parse_address(address)
    assert (str(read), read.place, read.collection) == (address, place, collection)
    assert tuple(read.options.get(n) for n in ("host", "port", "https")) == (host, port, tls)


@pytest.mark.parametrize(
    "address",
    [
        "qdrant://", "qdrant:/host:1/a", "qdrant://host/a", "qdrant://host:6333", "qdrant://host:6333/",
        "qdrant://host:0/a", "qdrant://host:99999/a", "qdrant://host:6333/a/b", "qdrant://host:6333/a?x",
        "qdrant://me:secret@host:6333/a", "qdrant://host:6333/../a", "qdrant:///a",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address):
    for call in (open_index, lambda a: create_index(a, ABOUT)):
        assert refused(call, address) == f"{address}: not an address. Write it as qdrant://host:port/collection."


def test_no_server_is_said():
    for call in (open_index, lambda a: create_index(a, ABOUT)):
        said = refused(call, "qdrant://127.0.0.1:1/tapes")
        assert "qdrant://127.0.0.1:1/tapes: no answer" in said
        assert "Start the server" in said


@pytest.fixture
def unfriendly():
    """A server that answers all with one status; what it was sent as a key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            keys.append(self.headers.get("api-key"))
            self.send_response(status[0])
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    keys, status = [], [500]
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"qdrant://127.0.0.1:{server.server_port}/tapes", status, keys
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
@pytest.mark.parametrize(
    ("answer", "message"), [(500, "refused with 500"), (401, "QDRANT_API_KEY"), (403, "wants a key")]
)
def test_what_a_server_refuses_is_said_in_one_line(unfriendly, monkeypatch, answer, message):
    address, status, keys = unfriendly
    status[0] = answer
    monkeypatch.setenv("QDRANT_API_KEY", "secret")
    said = refused(open_index, address)
    assert message in said
    assert "secret" not in said
    assert keys == ["secret"]


def test_no_index_and_other_collections_are_said():
    assert "no index" in refused(open_index, "qdrant://:memory:/nothing")
    index = create_index("qdrant://:memory:/mine", ABOUT)
    index.client.create_collection("theirs", vectors_config={})
    index.client.upsert("theirs", [writing.qdrant().models.PointStruct(id=1, vector={}, payload={"a": 1})])
    said = refused(lambda a: create_index(a, ABOUT), "qdrant://:memory:/theirs")
    assert "a collection that is no index" in said
    assert index.client.count("theirs").count == 1


def test_a_folder_is_kept_and_let_go(tmp_path):
    address = f"qdrant://{tmp_path}/q/tapes"
    first = create_index(address, ABOUT)
    second = open_index(address)
    with first.writing() as writer:
        writer.put(entry("/a.wav", seconds=9.0))
    assert names(second) == ["/a.wav"]
    first.close(), second.close()
    code = (
        "import sys; from pathlib import Path; from lookhear.search.index import open_index\n"
        f"index = open_index({address!r}); print(index.sources()[0].path, len(index))"
    )
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert other.stdout.split() == ["/a.wav", "4"]
    third = open_index(address)
    busy = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "another process uses the folder" in busy.stderr
    third.close()


def test_a_dead_writer_is_forgotten_and_what_it_sent_is_swept_away(monkeypatch):
    index = create_index("qdrant://:memory:/dead", ABOUT)
    with index.writing() as writer:
        writer.put(entry("/a.wav", seconds=9.0))
    dead = writing.QdrantWriter(index)
    dead.put(entry("/b.wav", 1, seconds=9.0))
    assert names(index) == ["/a.wav"]
    assert {h.file for h in index.search(unit(1), 100)[0]} == {"/a.wav"}
    assert "another process is writing" in refused(lambda: index.writing().__enter__())
    now = writing.time.time()
    monkeypatch.setattr(writing.time, "time", lambda: now + writing.LEASED + 1)
    with index.writing() as writer:
        assert index.client.count("dead").count == 4
        writer.put(entry("/c.wav", 2, seconds=2.0))
        # The dead one wakes up: it may neither write nor take away what has its numbers now.
        assert "another process is writing" in refused(dead.put, entry("/d.wav", 3, seconds=2.0))
        assert "another process is writing" in refused(dead.commit)
        dead.give_up()
    assert names(index) == ["/a.wav", "/c.wav"]
    assert {h.file for h in index.search(unit(1), 100)[0]} == {"/a.wav", "/c.wav"}
    assert index.client.count("dead").count == 5


def test_what_died_after_its_commit_is_finished_by_the_next(monkeypatch):
    index = create_index("qdrant://:memory:/half", ABOUT)
    with index.writing() as writer:
        for n in range(3):
            writer.put(entry(f"/old/{n}.wav", n, seconds=9.0))

    class Died(Exception):
        pass

    def die(*_):
        raise Died

    dead = writing.QdrantWriter(index)
    sources = index.sources()
    dead.touch(sources[0], path="/new/0.wav", size=1, modified=1, details={"speaker": "Anna"})
    dead.remove(sources[1])
    monkeypatch.setattr(dead, "_retag", die)
    with pytest.raises(Died):
        dead.commit()
    assert names(index) == ["/new/0.wav", "/old/2.wav"]  # it counts
    assert {h.file for h in index.search(unit(1), 100)[0]} == {"/new/0.wav", "/old/2.wav"}
    assert {h.file for h in index.search(unit(1), 100, Where(folder="/old"))[0]} == {"/old/2.wav"}
    dead.release()
    with index.writing():
        pass
    for where in (Where(folder="/new"), Where(details={"speaker": ["Anna"]})):
        assert {h.file for h in index.search(unit(1), 100, where)[0]} == {"/new/0.wav"}
    assert index.client.count("half").count == 8
    assert index.client.count("half-files").count == 3  # two files and the state


def test_an_error_after_the_commit_takes_nothing_back(monkeypatch):
    index = create_index("qdrant://:memory:/late", ABOUT)
    with index.writing() as writer:
        writer.put(entry("/old.wav", seconds=9.0))
    (old,) = index.sources()

    class Cut(Exception):
        pass

    def cut(*_):
        raise Cut

    def write():
        with index.writing() as writer:
            writer.put(entry("/new.wav", 1, seconds=9.0))
            writer.touch(old, path="/moved.wav", size=1, modified=1, details={})

    monkeypatch.setattr(writing.QdrantWriter, "_retag", cut)
    with pytest.raises(Cut):
        write()
    assert names(index) == ["/moved.wav", "/new.wav"]
    assert {h.file for h in index.search(unit(1), 100)[0]} == {"/moved.wav", "/new.wav"}
    assert all(len(frames) for frames in index.local(index.sample(100)))


def test_a_missing_library_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    assert "lookhear[cluster]" in refused(open_index, "qdrant://localhost:6333/tapes")


def test_searching_through_a_server_is_as_through_an_archive(tiny_run, tiny_folder, tiny_model, tiny_index):
    from lookhear.search.searcher import Searcher
    from lookhear.search.update import index_files

    address = "qdrant://:memory:/searched"
    index_files(tiny_run, [tiny_folder], address).close()
    served, own = Searcher(address, tiny_model), Searcher(tiny_index, tiny_model)
    for query in ("a red boat", "dog", Path(next(iter(tiny_folder.glob("*.flac"))))):
        for kind in ("moments", "pictures", "all"):
            a, b = served.search(query, 20, kind), own.search(query, 20, kind)
            assert [h.score for h in a] == pytest.approx([h.score for h in b], abs=2e-3)
            assert {h.file for h in a} == {h.file for h in b}
