"""How much one request, and all of them together, may ask of the service."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds; what passes one is refused before it costs much.

    Attributes:
        upload_bytes: of the body of an upload.
        export_bytes: of the body of an export.
        body_bytes: of any other body.
        pixels: of an uploaded picture, told by its header before it is decoded.
        seconds: of an uploaded recording, counted while it is decoded, whatever its header says.
        characters: of a written query.
        parts: of a combined query.
        page: hits of one answer.
        export: hits of one export.
        offset: hits that paging can pass over.
        uploads, upload_minutes: vectors of uploads that are kept, and for how long after their last use.
        requests: that are worked on at one time; more are told to come back.
        head: seconds for the head of a request.
        timeout: seconds until the first byte of an answer, the time that the request takes to arrive included.
        stall: seconds that a reader of an answer may pause.
        grace: seconds that requests in flight have left when the service is told to stop.
        connections: open at one time.
        idle: seconds that one is kept for a further request.
        batch, window: written queries that share a forward pass, and seconds that the first of them waits for others.
        excerpt, peaks: seconds of a recording that are given at once as sound, and as a drawing.
        points: of the map.
    """

    upload_bytes: int = 32 << 20
    export_bytes: int = 1 << 20
    body_bytes: int = 64 << 10
    pixels: int = 50_000_000
    seconds: float = 60.0
    characters: int = 500
    parts: int = 8
    page: int = 100
    export: int = 1_000
    offset: int = 10_000
    uploads: int = 256
    upload_minutes: float = 30.0
    requests: int = 256
    head: float = 15.0
    timeout: float = 30.0
    stall: float = 60.0
    grace: float = 20.0
    connections: int = 1_000
    idle: int = 30
    batch: int = 64
    window: float = 0.003
    excerpt: float = 60.0
    peaks: float = 4 * 3600.0
    points: int = 5_000

    def body(self, path: str) -> int:
        """Bytes that a request of a path may send."""
        if path == "/api/uploads":
            return self.upload_bytes + _FORM
        return self.export_bytes if path == "/api/export" else self.body_bytes


_FORM = 4096  # bytes of a form around the file in it
