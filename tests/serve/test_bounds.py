"""Bodies, times and numbers of requests are bounded, whatever the application does."""

from __future__ import annotations

import asyncio

import pytest
from hostile import hours_of_silence, huge_picture, recording
from serve_checks import refused

from lookhear.serve.bounds import Bounds
from lookhear.serve.limits import Limits


async def talk(app, body=(b"",), headers=(), path="/api/search", read=None):
    """Sends a request in pieces; what came back, and how many pieces were taken."""
    sent, taken = [], 0

    async def receive():
        nonlocal taken
        if taken == len(body):
            await asyncio.Event().wait()
        taken += 1
        return {"type": "http.request", "body": body[taken - 1], "more_body": taken < len(body)}

    async def send(message):
        if read is not None and message["type"] == "http.response.body":
            await read()
        sent.append(message)

    scope = {"type": "http", "path": path, "method": "POST", "headers": list(headers)}
    await app(scope, receive, send)
    return sent, taken


async def reads_all(scope, receive, send):
    """An application that reads a body, then answers by its size."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("gone")
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def test_a_body_within_the_limit_arrives() -> None:
    sent, _ = asyncio.run(talk(Bounds(reads_all, Limits(body_bytes=100)), [b"x" * 60, b"x" * 40]))
    assert sent[1]["body"] == b"100"


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    sent, taken = asyncio.run(talk(Bounds(reads_all, Limits()), [b"x"] * 3, [(b"content-length", b"2147483648")]))
    assert (sent[0]["status"], taken) == (413, 0)
    assert (b"connection", b"close") in sent[0]["headers"]


def test_an_answer_before_the_bodys_end_closes_the_connection() -> None:
    async def hasty(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 422, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    for body, headers in (([b"x"], []), ([b"x"] * 2, [(b"connection", b"close")])):
        sent, _ = asyncio.run(talk(Bounds(hasty, Limits()), body, [(b"transfer-encoding", b"chunked")]))
        assert sent[0]["headers"] == headers


def test_a_body_that_does_not_say_is_read_to_the_limit_only() -> None:
    sent, taken = asyncio.run(talk(Bounds(reads_all, Limits(body_bytes=100)), [b"x" * 60] * 1000))
    assert ([m.get("status") for m in sent], taken) == ([413, None], 2)


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    cancelled = []

    async def sleeps(scope, receive, send):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    sent, _ = asyncio.run(talk(Bounds(sleeps, Limits(timeout=0.05))))
    assert (sent[0]["status"], cancelled) == (504, [True])


def test_a_body_that_never_ends_is_given_up() -> None:
    app = Bounds(reads_all, Limits(timeout=0.05))

    async def endless():
        sent = []

        async def receive():
            await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        await app({"type": "http", "path": "/api/uploads", "method": "POST", "headers": []}, receive, send)
        return sent

    assert asyncio.run(endless())[0]["status"] == 504


def test_an_answer_that_has_begun_may_take_its_time_but_not_stall() -> None:
    async def slow():
        await asyncio.sleep(0.1)

    async def stalled():
        await asyncio.Event().wait()

    limits = Limits(timeout=0.05, stall=0.5)
    sent, _ = asyncio.run(talk(Bounds(reads_all, limits), read=slow))
    assert sent[-1]["body"] == b"0"
    with pytest.raises(TimeoutError):
        asyncio.run(talk(Bounds(reads_all, Limits(stall=0.05)), read=stalled))


def test_requests_beyond_the_limit_are_told_to_come_back() -> None:
    async def crowd():
        go = asyncio.Event()

        async def waits(scope, receive, send):
            await go.wait()
            await reads_all(scope, receive, send)

        app = Bounds(waits, Limits(requests=2))
        first = [asyncio.create_task(talk(app)) for _ in range(2)]
        await asyncio.sleep(0)
        third, _ = await talk(app)
        go.set()
        statuses = [(await task)[0][0]["status"] for task in first]
        later, _ = await talk(app)  # there is room again
        return third, statuses, later

    third, statuses, later = asyncio.run(crowd())
    assert third[0]["status"] == 503
    assert (b"retry-after", b"1") in third[0]["headers"]
    assert (statuses, later[0]["status"]) == ([200, 200], 200)


def test_a_reader_of_a_long_answer_takes_nobodys_place() -> None:
    async def run():
        reading, go = asyncio.Event(), asyncio.Event()

        async def read():
            reading.set()
            await go.wait()

        app = Bounds(reads_all, Limits(requests=1))
        slow = asyncio.create_task(talk(app, read=read))
        await reading.wait()
        other, _ = await talk(app)
        go.set()
        await slow
        return other

    assert asyncio.run(run())[0]["status"] == 200


def test_a_fault_frees_its_place() -> None:
    async def fails(scope, receive, send):
        raise ValueError("broken")

    app = Bounds(fails, Limits(requests=1))
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            asyncio.run(talk(app))


def test_a_query_of_100_kb_is_refused(client) -> None:
    refused(client.post("/api/search", json={"all": [{"text": "a" * 100_000}]}), 413)
    assert "501 characters" in refused(client.post("/api/search", json={"all": [{"text": "a" * 501}]}), 422)
    assert client.post("/api/search", json={"all": [{"text": "boat " * 100}]}).status_code == 200


def test_uploads_are_refused_by_size_and_content(client) -> None:
    def send(data, name):
        return client.post("/api/uploads", files={"file": (name, data)})

    refused(send(b"x" * (33 << 20), "a.wav"), 413)
    refused(send(huge_picture(), "bomb.png"), 413)
    refused(send(hours_of_silence(), "bomb.flac"), 413)
    refused(send(recording(), "cat.png"), 415)
    refused(send(b"MZ" + bytes(1000), "a.wav"), 415)
    refused(client.post("/api/uploads", json={}), 415)
    refused(client.post("/api/uploads", data={"file": "text"}), 415)
    refused(client.post("/api/uploads", files={"other": ("a.wav", recording())}), 422)
    refused(client.post("/api/uploads", files=[("file", ("a.wav", recording()))] * 2), 422)
    broken = client.post("/api/uploads", content=b"x", headers={"content-type": "multipart/form-data; boundary=a"})
    refused(broken, 422)
    refused(client.post("/api/uploads", content=b"x", headers={"content-type": "multipart/form-data"}), 422)
    assert send(recording(), "../../a.wav").json()["name"] == "a.wav"
