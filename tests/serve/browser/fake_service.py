"""A service of a made-up archive that can be told to fail: slow, gone, refusing."""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import fake_archive
import numpy as np
from fake_archive import RATE, SECONDS, jpeg, samples, wav

PAGE = Path(__file__).parents[3] / "src/lookhear/serve/page"
POLICY = (
    "default-src 'self'; style-src 'self' 'sha256-fF0LBso7Nz75zaFRDBUefBDvPe19hjaiDnnc8lt+2Js='; img-src 'self' blob:; "
    "media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
READ = {"/api/about": fake_archive.about, "/api/map": fake_archive.archive_map, "/health": lambda: {"status": "ok"}}


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that turns away before it has read everything is no error; all else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class FakeService:
    """Speaks the service's side. ``moods[path] = (status, body)`` refuses, ``slow[path] = seconds`` dawdles."""

    def __init__(self) -> None:
        self.moods: dict[str, tuple[int, object]] = {}
        self.slow: dict[str, float] = {}
        self.asked: list[tuple[str, object]] = []
        self.token: str | None = None
        self.gone = False
        self.port = 0
        self.start()

    def start(self) -> None:
        service = self
        handler = type("Bound", (_Handler,), {"service": service})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def last(self, path: str) -> object:
        return [body for at, body in self.asked if at == path][-1]


class _Handler(BaseHTTPRequestHandler):
    service: FakeService
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None: ...

    def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _json(self, status: int, body: object, **headers: str) -> None:
        self._send(status, json.dumps(body).encode(), "application/json", **headers)

    def _held_up(self, path: str) -> bool:
        """Slow where it was told to be; True where it has refused."""
        time.sleep(self.service.slow.get(path, 0))
        if self.service.gone:
            self.close_connection = True
            return True
        barred = self.service.token and path.startswith(("/api", "/media")) and path != "/api/session"
        if barred and f"lookhear={self.service.token}" not in self.headers.get("Cookie", ""):
            self._json(401, {"error": "A token is needed", "fix": "Give it."})
            return True
        if path in self.service.moods:
            self._json(*self.service.moods[path])
            return True
        return False

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.service.asked.append((url.path, None))
        if self._held_up(url.path):
            return
        if url.path == "/" or url.path.startswith("/static/"):
            file = PAGE / (url.path.removeprefix("/static/") if url.path != "/" else "index.html")
            self._send(200, file.read_bytes(), KINDS[file.suffix])
        elif url.path in READ:
            self._json(200, READ[url.path]())
        elif url.path.startswith("/media/"):
            self._media(url.path.split("/")[2:], {key: float(value[0]) for key, value in parse_qs(url.query).items()})
        else:
            self._json(404, {"error": "There is no such page", "fix": "Go back."})

    def _media(self, steps: list[str], given: dict[str, float]) -> None:
        file, what = int(steps[0]), steps[1] if len(steps) > 1 else "whole"
        if what in ("thumbnail", "whole") and file >= 100:
            self._send(200, jpeg(file, int(given.get("size", 800))), "image/jpeg")
            return
        piece = samples(file)[int(RATE * given.get("start", 0)) : int(RATE * given.get("end", SECONDS))]
        if what == "peaks":
            bins = np.array_split(piece, int(given["bins"]))
            self._json(
                200,
                {
                    "start": given["start"],
                    "end": given["end"],
                    "low": [float(b.min()) for b in bins],
                    "high": [float(b.max()) for b in bins],
                },
            )
        else:
            self._send(200, wav(piece), "audio/wav")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = json.loads(body) if self.headers.get("Content-Type", "").startswith("application/json") else body
        self.service.asked.append((self.path, given))
        if self._held_up(self.path):
            return
        if self.path == "/api/search":
            self._json(200, fake_archive.search(given))
        elif self.path == "/api/uploads":
            name = body.split(b'filename="', 1)[1].split(b'"', 1)[0].decode()
            modality = "recording" if b"\r\n\r\nRIFF" in body else "picture"
            self._json(200, {"id": f"up{len(self.service.asked)}", "modality": modality, "name": name, "seconds": None})
        elif self.path == "/api/session":
            right = given["token"] == self.service.token
            self._json(
                200 if right else 401,
                {},
                **(
                    {"Set_Cookie": f"lookhear={self.service.token}; HttpOnly; SameSite=Strict; Path=/"} if right else {}
                ),
            )
        elif self.path == "/api/export":
            rows = "".join(f"{h['file']},{h['start']},{h['end']},{h['query']}\n" for h in given["hits"])
            self._send(
                200,
                ("file,start,end,query\n" + rows).encode(),
                "text/csv",
                Content_Disposition='attachment; filename="hits.csv"',
            )
