"""A hub in a thread: the endpoints of the Hugging Face hub that an upload and a download of models use, over HTTP.

Written by the documentation of the hub's API, git-lfs' batch protocol, and what ``huggingface_hub`` sends. Repositories
live in memory: each a list of commits, a commit a dictionary of files. Large files go up by LFS, as they do there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse

__all__ = ["FakeHub", "serving"]

TOKEN = "hf_letmein"


class FakeHub(ThreadingHTTPServer):
    """
    Attributes:
        repos: owner/name → commits, oldest first: (sha, path → bytes, message).
        hidden: names of private repositories.
        blobs: sha256 → what was uploaded by LFS.
        asked: method and path of every request, in order.
        failing: paths that are answered with this status; a fault of the hub.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, list[tuple[str, dict[str, bytes], str]]] = {}
        self.hidden: set[str] = set()
        self.blobs: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.failing: dict[str, int] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit(self, name: str, files: dict[str, bytes], message: str) -> str:
        commits = self.repos.setdefault(name, [])
        sha = hashlib.sha1(repr((len(commits), sorted(files.items()))).encode()).hexdigest()
        commits.append((sha, files, message))
        return sha

    def at(self, name: str, revision: str) -> tuple[str, dict[str, bytes], str] | None:
        commits = self.repos[name]
        if revision in ("main", ""):
            return commits[-1]
        return next((c for c in commits if c[0] == revision), None)


@contextmanager
def serving() -> Iterator[FakeHub]:
    hub = FakeHub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._route("GET")

    def do_HEAD(self) -> None:
        self._route("HEAD")

    def do_POST(self) -> None:
        self._route("POST")

    def do_PUT(self) -> None:
        self._route("PUT")

    def _route(self, method: str) -> None:
        hub, path = self.server, unquote(urlparse(self.path).path)
        body = self._body()
        hub.asked.append(f"{method} {path}")
        if path in hub.failing:
            return self._json({"error": "broken"}, hub.failing[path])
        parts = path.strip("/").split("/")
        if method == "PUT" and parts[0] == "blobs":
            if hashlib.sha256(body).hexdigest() != parts[1]:
                return self._json({"error": "not what was announced"}, 400)
            hub.blobs[parts[1]] = body
            return self._json({})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if parts[:2] == ["api", "models"]:
            return self._api("/".join(parts[2:4]), parts[4:], body)
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(json.loads(body)["objects"])
        if len(parts) > 4 and parts[2] == "resolve":
            return self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]), method == "HEAD")
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        return self._json({"error": "no such endpoint"}, 404)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    @property
    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _create(self, asked: dict[str, Any]) -> None:
        if not self._known:
            return self._json({"error": "Invalid username or password."}, 401)
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != "me":
            return self._json({"error": "not yours"}, 403)
        url = {"url": f"{self.server.address}/{name}", "name": name, "id": "1"}
        if name in self.server.repos:
            return self._json({**url, "error": "You already created this model repo"}, 409)
        self.server.commit(name, {".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
        if asked.get("visibility") == "private":
            self.server.hidden.add(name)
        return self._json(url)

    def _api(self, name: str, rest: list[str], body: bytes) -> None:
        if not self._seen(name):
            return None
        if not rest or rest[0] == "revision":
            return self._info(name, rest[1] if rest else "main")
        if not self._known:
            return self._json({"error": "Forbidden"}, 403)
        if rest[0] == "preupload":
            files = self.server.repos[name][-1][1]
            modes = [
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                    "oid": _oid(files[f["path"]]) if f["path"] in files else None,
                }
                for f in json.loads(body)["files"]
            ]
            return self._json({"files": modes})
        return self._commit(name, [json.loads(line) for line in body.splitlines() if line])

    def _seen(self, name: str) -> bool:
        """Whether there is such a repository for this caller; else it is answered as the hub does."""
        if name in self.server.repos and (name not in self.server.hidden or self._known):
            return True
        status = 404 if self._known else 401  # who is nobody is not told which names there are
        self._json({"error": "Repository not found"}, status, {"X-Error-Code": "RepoNotFound"})
        return False

    def _info(self, name: str, revision: str) -> None:
        found = self.server.at(name, revision)
        if found is None:
            return self._json({"error": "Invalid rev id"}, 404, {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": f} for f in sorted(found[1])]
        about = {"_id": "1", "id": name, "modelId": name, "sha": found[0], "siblings": siblings, "tags": []}
        return self._json({**about, "private": name in self.server.hidden, "downloads": 0, "likes": 0})

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        sha, files, _ = self.server.repos[name][-1]
        header, files = lines[0]["value"], dict(files)
        if header.get("parentCommit") not in (None, sha):
            return self._json({"error": "A commit has happened since."}, 412)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.blobs[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        made = self.server.commit(name, files, header["summary"])
        return self._json({"commitUrl": f"{self.server.address}/{name}/commit/{made}", "commitOid": made})

    def _batch(self, objects: list[dict[str, Any]]) -> None:
        answers = []
        for o in objects:
            upload = {"href": f"{self.server.address}/blobs/{o['oid']}", "header": {}}
            known = o["oid"] in self.server.blobs
            answers.append({**o, "actions": {}} if known else {**o, "actions": {"upload": upload}})
            if known:
                del answers[-1]["actions"]
        return self._json({"transfer": "basic", "objects": answers}, kind="application/vnd.git-lfs+json")

    def _file(self, name: str, revision: str, path: str, head: bool) -> None:
        if not self._seen(name):
            return None
        found = self.server.at(name, revision)
        if found is None or path not in found[1]:
            return self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        data = found[1][path]
        large = path.endswith(".safetensors")
        etag = hashlib.sha256(data).hexdigest() if large else _oid(data)
        self.send_response(200)
        self.send_header("X-Repo-Commit", found[0])
        self.send_header("ETag", f'"{etag}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not head:
            self.wfile.write(data)
        return None

    def _json(
        self, value: Any, status: int = 200, headers: dict[str, str] | None = None, kind: str = "application/json"
    ) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for key, text in (headers or {}).items():
            self.send_header(key, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
