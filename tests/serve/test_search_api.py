"""Searching over HTTP gives what the searcher gives, to one and to two hundred at a time."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import httpx
import pytest
from hostile import picture, recording
from serve_checks import HOST, SCRIPT, SPEAKER, refused

from lookhear.serve.limits import Limits


def ask(client, *texts, **more):
    return client.post("/api/search", json={"all": [{"text": t} for t in texts], **more})


def as_told(hits):
    """What answers are compared by; scores of a batch differ in the last digits."""
    return [(h["file"], round(h["start"], 3), round(h["end"], 3), pytest.approx(h["score"], abs=5e-4)) for h in hits]


def as_found(answers):
    return [(a.source.id, round(a.start, 3), round(a.end, 3), a.score) for a in answers]


@pytest.mark.parametrize("kind", ["moments", "recordings", "pictures", "texts", "all"])
def test_hits_are_the_searchers(client, searcher, kind) -> None:
    told = ask(client, "a dog", kind=kind, k=5).json()
    found = searcher.find([searcher.part(text="a dog")], kind=kind, k=5)
    assert len(told["hits"]) > 0
    assert as_told(told["hits"]) == as_found(found)
    assert told["more"] == found.more
    assert told["rows"] == len(searcher.index)


def test_a_hit_tells_what_is_known(client, searcher, archive) -> None:
    hit = ask(client, "a dog", k=1).json()["hits"][0]
    found = searcher.find([searcher.part(text="a dog")], k=1)[0]
    path = Path(found.file)
    assert (hit["name"], hit["folder"], hit["modality"]) == (path.name, str(path.parent), "audio")
    assert hit["seconds"] == found.source.seconds
    assert hit["curve"]["values"] == list(found.curve)
    assert (hit["curve"]["start"], hit["curve"]["step"]) == (found.found.start, searcher.index.about["step"])
    text = ask(client, "a red boat", kind="texts", k=1).json()["hits"][0]
    assert (text["text"], text["curve"], text["seconds"]) == ("a red boat", None, None)


def test_pages_join_into_the_whole(client) -> None:
    whole = ask(client, "a dog", k=6).json()
    pages = [ask(client, "a dog", k=2, offset=offset).json() for offset in (0, 2, 4)]
    assert [h for page in pages for h in page["hits"]] == whole["hits"]
    assert [page["more"] for page in pages] == [True, True, whole["more"]]


def test_parts_that_are_meant_and_not_meant(client, searcher) -> None:
    told = client.post("/api/search", json={"all": [{"text": "a dog"}, {"text": "snow"}], "none": [{"text": "boat"}]})
    dog, snow, boat = searcher.parts(["a dog", "snow", "boat"])
    assert as_told(told.json()["hits"]) == as_found(searcher.find([dog, snow], [boat]))


def test_more_like_a_moment(client, searcher) -> None:
    hit = ask(client, "a dog", k=1).json()["hits"][0]
    moment = {name: hit[name] for name in ("file", "start", "end")}
    told = client.post("/api/search", json={"all": [{"moment": moment}], "k": 3}).json()["hits"]
    part = searcher.part(moment=searcher.answer(hit["file"], hit["start"], hit["end"]))
    assert as_told(told) == as_found(searcher.find([part], k=3))
    refused(client.post("/api/search", json={"all": [{"moment": {**moment, "file": 10**6}}]}), 404)
    refused(client.post("/api/search", json={"all": [{"moment": {**moment, "end": 10**6}}]}), 422)
    refused(client.post("/api/search", json={"all": [{"moment": {**moment, "start": 5, "end": 4}}]}), 422)


def test_uploads_are_asked_with(client, archive, searcher) -> None:
    from lookhear.audio import load_audio

    path = archive.recordings[1]
    sent = client.post("/api/uploads", files={"file": (path.name, path.read_bytes())}).json()
    assert (sent["modality"], sent["name"]) == ("recording", path.name)
    told = client.post("/api/search", json={"all": [{"upload": sent["id"]}], "k": 3}).json()["hits"]
    assert as_told(told) == as_found(searcher.find([searcher.part(recording=load_audio(path))], k=3))
    assert told[0]["name"] == path.name
    shown = client.post("/api/uploads", files={"file": ("red.png", picture())}).json()
    assert (shown["modality"], shown["seconds"]) == ("picture", None)
    assert client.post("/api/search", json={"all": [{"upload": shown["id"]}], "kind": "all"}).status_code == 200
    gone = client.post("/api/search", json={"all": [{"upload": "nothing"}]})
    refused(gone, 404)
    assert gone.json()["upload"] == "nothing"


def test_filters(client, archive) -> None:
    def names(**where):
        return {h["name"] for h in ask(client, "a dog", k=100, where=where).json()["hits"]}

    first, second, third = (p.name for p in archive.recordings[:3])
    assert names(details={"speaker": ["Ana", "Jon"]}) == {second, third}
    assert names(details={"speaker": [SPEAKER]}) == {first}
    assert names(details={"speaker": ["Ana", "Jon"], "language": ["lt"]}) == {second}
    assert names(since="1950", until="1959-12-31") == {first}
    assert names(folder=str(archive.folder)) == names()
    assert names(folder=str(archive.folder / "pictures")) == set()
    assert names(details={"speaker": []}) == names()
    for wrong in ({"since": "long ago"}, {"since": "1970", "until": "1960"}, {"speaker": "Ana"}, {"details": 3}):
        refused(ask(client, "a dog", where=wrong), 422)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"all": []}, 400), ({}, 400), ({"all": [{}]}, 422), ({"all": [{"text": " "}]}, 422), ({"all": "a"}, 422),
        ({"all": [{"text": "a", "upload": "b"}]}, 422), ({"all": [{"text": "a"}], "k": 0}, 422),
        ({"all": [{"text": "a"}], "k": 101}, 422), ({"all": [{"text": "a"}], "kind": "films"}, 422),
        ({"all": [{"text": "a"}] * 9}, 422), ({"all": [{"text": "a"}], "offset": 10**5}, 422), ([], 422),
        ({"all": [{"text": "a"}], "more": 1}, 422), ({"all": [{"text": None}]}, 422), ({"all": [{"text": 5}]}, 422),
    ],
)  # fmt: skip
def test_searches_that_are_none(client, body, status) -> None:
    refused(client.post("/api/search", json=body), status)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[" * 60_000, b'{"all": [{"text": "\\ud800"}]}', b'{"all": [{"text": "a"}], "k": 1e999}',
        b'{"all": [{"moment": {"file": 0, "start": NaN, "end": Infinity}}]}', b"\xff\xfe", b"null",
        b'{"all": [{"text": "a"}], "k": ' + b"9" * 5000 + b"}",
    ],
    ids=range(9),
)  # fmt: skip
def test_bodies_that_are_no_json_of_ours(client, body) -> None:
    answer = client.post("/api/search", content=body, headers={"content-type": "application/json"})
    refused(answer, answer.status_code)
    assert answer.status_code in (400, 422)


def test_strange_texts_are_searched_for_like_others(client) -> None:
    for text in ("\0", "’ -- ; DROP TABLE", SPEAKER, "🐕", "собака", "a\nb", "%s%n", "../../etc/passwd"):
        answer = ask(client, text, k=1)
        assert answer.status_code in (200, 422), (text, answer.text)


def test_scripts_are_told_as_json_text(client, number) -> None:
    hits = ask(client, "a dog", k=100).json()["hits"]
    assert SCRIPT in {h["name"] for h in hits}
    assert SPEAKER in {h["details"].get("speaker") for h in hits}
    about = client.get("/api/about")
    assert [SPEAKER, 1] in about.json()["filters"]["speaker"]
    assert about.headers["content-type"] == "application/json"
    assert SCRIPT in {p["name"] for p in client.get("/api/map").json()["points"]}
    marked = {"file": number[SCRIPT], "start": 0, "end": 0.5, "query": "=1+1"}
    table = client.post("/api/export", json={"format": "csv", "hits": [marked]})
    assert "attachment" in table.headers["content-disposition"]
    assert "'=1+1" in table.text  # text to a spreadsheet, no formula


def test_about(client, searcher, archive) -> None:
    about = client.get("/api/about").json()
    assert about["title"] == "index"
    assert about["counts"]["segments"] == len(searcher.index)
    assert about["counts"]["texts"] == 1
    assert dict(about["filters"]["language"]) == {"lt": 2, "en": 1}
    assert about["dates"] == ["1957-03-21", "1960"]
    assert str(archive.folder) in dict(about["folders"])
    assert {e["modality"] for e in about["examples"]} == {"audio", "image", "text"}
    assert about["limits"]["characters"] == Limits().characters


def test_two_hundred_at_a_time_are_answered_as_each_alone(client_of, searcher) -> None:
    """Two hundred different queries from two hundred users share a few forward passes."""
    things, places = (
        ("dog", "boat", "cow", "umbrella", "shoe", "lamp", "key", "cat"),
        ("snow", "beach", "forest", "sea"),
    )
    texts = [f"a {a} and a {b} in the {c}" for a in things for b in things if a != b for c in places][:200]
    single = {text: searcher.find([searcher.part(text=text)], k=2) for text in texts}
    app = client_of(Limits(window=0.05)).app

    async def crowd():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as many:
            bodies = [{"all": [{"text": text}], "k": 2} for text in texts]
            return await asyncio.gather(*(many.post("/api/search", json=body, timeout=300) for body in bodies))

    answers = asyncio.run(crowd())
    assert {a.status_code for a in answers} == {200}
    for text, answer in zip(texts, answers, strict=True):
        assert as_told(answer.json()["hits"]) == as_found(single[text])
    counted = client_metrics(app)
    assert counted["lookhear_queries_total"] == 200
    assert counted["lookhear_batch_texts_sum"] == 200
    assert counted["lookhear_batch_texts_count"] <= 20


def client_metrics(app) -> dict[str, float]:
    async def read():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as one:
            return (await one.get("/metrics")).text

    lines = [line.rsplit(" ", 1) for line in asyncio.run(read()).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_metrics_and_log_hold_nothing_that_was_asked(client_of, caplog) -> None:
    import logging

    caplog.set_level(logging.DEBUG)
    client = client_of(log=True)
    ask(client, "xylophone", where={"details": {"speaker": ["glockenspiel"]}})
    client.get("/xylophone?q=glockenspiel")
    client.post("/api/search", json={"glockenspiel": 1})
    counted = client.get("/metrics").text
    assert 'lookhear_requests_total{route="/api/search",status="200"} 1.0' in counted
    assert 'lookhear_requests_total{route="other",status="404"} 1.0' in counted
    own = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith(("lookhear", "uvicorn")))
    assert "POST /api/search 200" in own
    assert "xylophone" not in counted + own
    assert "glockenspiel" not in counted + own


def test_a_fault_inside_is_told_without_what_was_asked(client_of, caplog, monkeypatch) -> None:
    from lookhear.search.searcher import Searcher

    def broken(self, all, **_):
        raise ValueError(f"{all[0].text} in {self.index.path}")

    monkeypatch.setattr(Searcher, "find", broken)
    answer = ask(client_of(), "xylophone")
    assert refused(answer, 500) == "the service failed"
    assert "xylophone" not in answer.text
    assert "ValueError" in caplog.text
    assert "xylophone" not in caplog.text


def test_an_index_that_is_written_to_is_searched_as_it_is_now(
    archive, client_of, tmp_path, tiny_run, monkeypatch
) -> None:
    from lookhear.search.update import index_files
    from lookhear.serve import service

    monkeypatch.setattr(service, "_AGAIN", 0.0)
    folder = tmp_path / "tapes"
    folder.mkdir()
    shutil.copy(archive.recordings[0], folder)
    index_files(tiny_run, [folder], tmp_path / "index").close()
    client = client_of(index=tmp_path / "index")
    assert {h["name"] for h in ask(client, "a dog").json()["hits"]} == {archive.recordings[0].name}
    assert client.get("/api/about").json()["counts"]["recordings"] == 1
    shutil.copy(archive.recordings[1], folder)
    index_files(tiny_run, [folder], tmp_path / "index").close()
    hits = ask(client, "a dog").json()["hits"]
    assert {h["name"] for h in hits} == {p.name for p in archive.recordings[:2]}
    assert client.get("/api/about").json()["counts"]["recordings"] == 2
    assert len(client.get("/api/map").json()["points"]) == 2
    (folder / archive.recordings[0].name).unlink()
    index_files(tiny_run, [folder], tmp_path / "index").close()
    hits = ask(client, "a dog").json()["hits"]
    assert {h["name"] for h in hits} == {archive.recordings[1].name}
    assert client.get(f"/media/{hits[0]['file']}").content == archive.recordings[1].read_bytes()
    assert client.get("/health").json() == {"status": "ok", "rows": 1}


def test_a_recording_of_a_model_without_pictures_is_no_500(client) -> None:
    """Whatever an upload holds, there is an answer."""
    for data in (recording(0.02), recording(0.2, "OGG", 8_000, 2)):
        answer = client.post("/api/uploads", files={"file": ("a", data)})
        assert answer.status_code in (200, 415, 422), json.dumps(answer.text)
