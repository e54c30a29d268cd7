"""The service as a process: ports, signals, its first line, what a strange client can do to a socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
from serve_checks import in_thread

from lookhear.serve.limits import Limits


@contextmanager
def running(*arguments, env=None):
    """A service in another process, and the address that it printed."""
    command = [sys.executable, "-m", "lookhear.cli", "serve", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.fixture(scope="module")
def served(archive):
    """One service for tests that leave it as it was."""
    with running(archive.index, "--port", 0) as (process, address):
        yield process, address


def test_it_prints_its_address_and_answers_there(served) -> None:
    _, address = served
    assert address.startswith("http://127.0.0.1:")
    assert httpx.get(address + "health").json()["status"] == "ok"
    assert "<html" in httpx.get(address).text


def test_a_second_service_on_the_port_is_one_clear_line(served, archive, lookhear) -> None:
    port = served[1].rstrip("/").rsplit(":", 1)[1]
    line = lookhear("serve", archive.index, "--port", port).complaint
    assert f"127.0.0.1:{port} is taken" in line
    assert "--port" in line


def test_mistakes_are_one_line(archive, tmp_path, lookhear) -> None:
    assert "without a token" in lookhear("serve", archive.index, "--host", "0.0.0.0").complaint
    assert "no index" in lookhear("serve", tmp_path, "--port", 0).complaint
    for host, why in (("no.such.host.invalid", "no such address"), ("192.0.2.1", "cannot be listened on")):
        assert why in lookhear("serve", archive.index, "--host", host, "--token", "a-long-secret").complaint


def test_two_gigabytes_are_refused_before_they_are_sent(served) -> None:
    process, address = served
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    before = memory(process.pid)
    with socket.create_connection((host, int(port)), timeout=30) as wire:
        head = (
            f"POST /api/uploads HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            f"Content-Length: {2 << 30}\r\n\r\n"
        )
        wire.sendall(head.encode())
        assert wire.recv(4096).startswith(b"HTTP/1.1 413")
    # And where it is not said beforehand, in pieces, until the service hangs up: a form, and what is none.
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    for first in (part, b"no form"):
        sent = 0
        with socket.create_connection((host, int(port)), timeout=30) as wire:
            wire.sendall(head.replace(f"Content-Length: {2 << 30}", "Transfer-Encoding: chunked").encode())
            wire.sendall(b"%x\r\n%b\r\n" % (len(first), first))
            try:
                while sent < 2 << 30:
                    wire.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
                    sent += 1 << 20
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert sent < 128 << 20
    assert memory(process.pid) - before < 200 << 20
    assert httpx.get(address + "health").status_code == 200


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n", b"GET", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /media/../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n",
        b"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
    ],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_request_does_no_harm(served, sent) -> None:
    _, address = served
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as wire:
        try:
            wire.sendall(sent)  # a head longer than what is read at once, so that it is refused however it arrives
            wire.shutdown(socket.SHUT_WR)
            answer = wire.recv(1 << 16)
        except OSError:  # refused while it was still being sent: reset, a broken pipe, or no longer connected
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 200")
    assert b"root:" not in answer
    assert httpx.get(address + "health").status_code == 200


@pytest.mark.parametrize("sent", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET"])
def test_connections_that_bring_no_request_are_closed(make_service, sent) -> None:
    with in_thread(make_service(Limits(head=0.2, idle=1))) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as wire:
            wire.sendall(sent)
            answer = b""
            while piece := wire.recv(1 << 16):  # to its end, which only the service brings about
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200") == sent.endswith(b"GET")
        assert httpx.get(address + "/health").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_request_in_flight_is_answered_before_the_end(archive, number) -> None:
    """The first search of a process takes its time; meanwhile the service is told to stop."""
    with running(archive.index, "--port", 0) as (process, address):
        answers = []

        def ask() -> None:
            # Sent in two halves around the signal, so that it is surely in flight when that comes.
            host, port = address.removeprefix("http://").rstrip("/").split(":")
            body = json.dumps({"all": [{"text": "a dog"}]}).encode()
            head = f"POST /api/search HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            with socket.create_connection((host, int(port)), timeout=60) as wire:
                wire.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:5])
                begun.set()
                assert told.wait(60)
                time.sleep(0.3)
                wire.sendall(body[5:])
                answer = b""
                while piece := wire.recv(1 << 16):
                    answer += piece
                answers.append(answer)

        begun, told = threading.Event(), threading.Event()
        asking = threading.Thread(target=ask)
        asking.start()
        assert begun.wait(60)
        time.sleep(0.3)
        process.send_signal(number)
        told.set()
        asking.join(60)
        assert answers, process.stderr.read()
        assert answers[0].startswith(b"HTTP/1.1 200")
        assert b'"hits"' in answers[0]
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "")
        assert err.strip().splitlines()[-1] == "stopped"
        assert "Traceback" not in err
        with pytest.raises(httpx.ConnectError):
            httpx.get(address + "health")


def test_the_token_comes_from_the_environment_and_stands_in_the_address(archive) -> None:
    secret = {"LOOKHEAR_TOKEN": "a-long-secret"}
    with running(archive.index, "--port", 0, "--host", "0.0.0.0", env=secret) as (_, address):
        assert address.endswith("/?token=a-long-secret")
        base = address.partition("?")[0].replace("localhost", "127.0.0.1")
        assert httpx.get(base + "api/about").status_code == 401
        with httpx.Client() as browser:
            assert browser.get(base, params={"token": "a-long-secret"}).status_code == 200
            assert browser.get(base + "api/about").status_code == 200
