"""Requests made from the OpenAPI document: never a 500, always an answer that the document describes."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks
from serve_checks import in_thread

CHECKS = [
    checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_schema_conformance,
]  # fmt: skip
ROUTES = [
    "GET /health", "GET /metrics", "POST /api/session", "GET /api/about", "POST /api/uploads", "POST /api/search",
    "GET /api/map", "POST /api/export", "GET /media/{number}", "GET /media/{number}/excerpt",
    "GET /media/{number}/peaks", "GET /media/{number}/thumbnail",
]  # fmt: skip


@pytest.fixture(scope="module")
def address(make_service):
    """Where a service answers, in a thread."""
    with in_thread(make_service()) as found:
        yield found


@pytest.fixture(scope="module")
def operations(address):
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


def send(operation, mode: GenerationMode, examples: int) -> list[int]:
    """Sends what the document allows (or does not), and checks each answer; the statuses that came."""
    statuses = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case) -> None:
        answer = case.call()
        statuses.append(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    ask()
    return statuses


def test_every_route_is_tried(operations) -> None:
    assert sorted(operations) == sorted(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_what_the_document_allows(operations, route) -> None:
    statuses = send(operations[route], GenerationMode.POSITIVE, 20)
    assert 405 not in statuses
    if route in ROUTES[:4]:
        assert set(statuses) <= {200, 204}


@pytest.mark.parametrize("route", [r for r in ROUTES if r.startswith("POST") or "{" in r])
def test_what_the_document_does_not_allow(operations, route) -> None:
    statuses = send(operations[route], GenerationMode.NEGATIVE, 20)
    assert all(400 <= status < 500 for status in statuses), statuses


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("route", [r for r in ROUTES if r.startswith("POST") or "{" in r])
def test_many_requests(operations, route, mode) -> None:
    assert send(operations[route], mode, 250)
