"""Requests made from the OpenAPI document, right ones and wrong ones: never a 500, always what the document says."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks


@pytest.fixture(scope="session")
def api(client):
    return schemathesis.openapi.from_asgi(
        "/openapi.json", client.app, headers=OWN
    )


OWN = {"host": "127.0.0.1:8765"}
schema = schemathesis.pytest.from_fixture("api")
CHECKS = [
    checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_schema_conformance,
]  # fmt: skip
PLAIN = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.explicit, Phase.generate),
}


@schema.parametrize()
@settings(max_examples=15, **PLAIN)
def test_a_few_requests_of_each_kind(case) -> None:
    case.call_and_validate(headers=OWN, checks=CHECKS)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=1_000, **PLAIN)
def test_many_requests_of_each_kind(case) -> None:
    case.call_and_validate(headers=OWN, checks=CHECKS)
