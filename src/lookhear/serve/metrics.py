"""What the service counts, in the text format of Prometheus. No label holds anything that a user wrote."""

from __future__ import annotations

from collections.abc import Callable

from lookhear.serve.refusals import library

__all__ = ["Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCH = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one service.

    Args:
        rows: asked for the size of the index.
        uploads: asked for the number of uploads that are kept.

    Raises:
        UserError: the extra is not installed.
    """

    def __init__(self, rows: Callable[[], int], uploads: Callable[[], int]) -> None:
        prometheus = library("prometheus_client")
        self._latest = prometheus.generate_latest
        self.content_type: str = prometheus.CONTENT_TYPE_LATEST
        own = self.registry = prometheus.CollectorRegistry()
        self._requests = prometheus.Counter(
            "lookhear_requests", "Requests answered, by route and status.", ["route", "status"], registry=own
        )
        self._seconds = prometheus.Histogram(
            "lookhear_request_seconds", "Time to the first byte of an answer.", ["route"], buckets=_SECONDS,
            registry=own,
        )  # fmt: skip
        self.working = prometheus.Gauge("lookhear_requests_in_progress", "Requests that are worked on.", registry=own)
        self.queries = prometheus.Counter("lookhear_queries", "Written queries that were encoded.", registry=own)
        self._batches = prometheus.Histogram(
            "lookhear_batch_texts", "Written queries of a forward pass.", buckets=_BATCH, registry=own
        )
        prometheus.Gauge("lookhear_index_rows", "Rows of the index.", registry=own).set_function(rows)
        prometheus.Gauge("lookhear_uploads", "Uploads that are kept.", registry=own).set_function(uploads)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts an answer.

        Args:
            route: as the service names it, numbers left out: "/media/{number}".
        """
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def passed(self, texts: int) -> None:
        """Counts a forward pass of the text encoder."""
        self._batches.observe(texts)

    def text(self) -> bytes:
        """All of them."""
        found: bytes = self._latest(self.registry)
        return found
