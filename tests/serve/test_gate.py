"""Who may ask: known hosts, pages of its own, those with the token; and what every answer carries."""

from __future__ import annotations

import pytest
from serve_checks import HOST, refused

from lookhear.errors import UserError
from lookhear.serve.gate import Token, is_loopback, known_host
from lookhear.serve.server import place

TOKEN = "a-long-secret"
LOCAL = frozenset(("localhost", "127.0.0.1"))


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("localhost", True), ("LOCALHOST:8765", True), ("127.0.0.1:1", True), ("127.1.2.3", True), ("[::1]:80", True),
        ("evil.example", False), ("localhost.evil.example", False), ("127.0.0.1.evil.example", False),
        ("192.168.0.4", False), ("", False), ("[", False), ("[::1", False), ("2130706433", False),
    ],
)  # fmt: skip
def test_hosts_of_a_service_for_this_machine(given: str, known: bool) -> None:
    assert known_host(given, LOCAL, any_address=False) == known


@pytest.mark.parametrize(
    ("given", "known"),
    [("192.168.0.4:8765", True), ("[fe80::1]:80", True), ("tapes.local", True), ("evil.example", False), ("", False)],
)
def test_hosts_of_a_service_for_all_addresses(given: str, known: bool) -> None:
    """Any number may be meant, but of names, which rebinding needs, only its own."""
    assert known_host(given, LOCAL | {"tapes.local"}, any_address=True) == known


def test_one_address_is_known_by_no_other() -> None:
    assert known_host("10.0.0.5:1", frozenset(("10.0.0.5",)), any_address=False)
    assert not known_host("127.0.0.1", frozenset(("10.0.0.5",)), any_address=False)


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)]
)
def test_loopback(host: str, own: bool) -> None:
    assert is_loopback(host) == own


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org"])
def test_other_addresses_need_a_token(host: str) -> None:
    with pytest.raises(UserError, match="without a token"):
        place(host, 0)


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "ümlauts-are-none", "line\nbreak-in-it"])
def test_tokens_that_are_none(token: str) -> None:
    with pytest.raises(UserError, match="a token that is no"):
        place("0.0.0.0", 0, token)


def test_strange_hosts_and_other_sites_are_refused(client) -> None:
    refused(client.get("/health", headers={"host": "evil.example:8765"}), 400)
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9999"):
        refused(client.post("/api/search", json={"all": [{"text": "a"}]}, headers={"origin": origin}), 403)
    assert client.get("/health", headers={"origin": HOST}).status_code == 200
    allowed = client.options("/api/search", headers={"origin": HOST, "access-control-request-method": "POST"})
    assert not [name for name in allowed.headers if name.startswith("access-control-")]


@pytest.fixture
def guarded(client_of):
    return client_of(token=TOKEN)


def test_without_the_token_only_the_page_and_the_health_are_told(guarded) -> None:
    assert guarded.get("/health").status_code == 200
    assert guarded.get("/").status_code == 200
    for path in ("/api/about", "/api/map", "/metrics", "/openapi.json", "/media/0", "/media/0/peaks", "/nothing"):
        answer = guarded.get(path)
        refused(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/api/search", "/api/uploads", "/api/export"):
        refused(guarded.post(path, json={}), 401)


def test_the_token_as_a_header(guarded) -> None:
    assert guarded.get("/api/about", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    for wrong in (f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer \xe4"):
        refused(guarded.get("/api/about", headers={"authorization": wrong.encode("latin-1")}), 401)


def test_the_token_in_the_address_becomes_a_cookie(guarded) -> None:
    refused(guarded.get("/api/about", params={"token": TOKEN}), 401)  # there only
    assert "set-cookie" not in guarded.get("/", params={"token": "wrong-secret"}).headers
    answer = guarded.get("/", params={"token": TOKEN})
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert TOKEN not in cookie + answer.text
    assert guarded.get("/api/about").status_code == 200
    guarded.cookies.clear()
    name = cookie.partition("=")[0]
    refused(guarded.get("/api/about", headers={"cookie": f"{name}=wrong"}), 401)
    refused(guarded.get("/api/about", headers={"cookie": f"{name}={TOKEN}; ;;=\x01"}), 401)


def test_the_page_trades_the_token_for_the_cookie(guarded) -> None:
    refused(guarded.post("/api/session", json={"token": "wrong-secret"}), 401)
    assert guarded.post("/api/session", json={"token": TOKEN}).status_code == 204
    assert guarded.get("/api/about").status_code == 200


def test_cookies_of_other_tokens_are_no_use() -> None:
    assert Token("one-secret").name != Token("other-secret").name
    value = Token("one-secret").cookie.split("=")[1].split(";")[0]
    forged = f"{Token('other-secret').name}={value}".encode()
    assert not Token("other-secret").admits({"headers": [(b"cookie", forged)]})


def test_headers_that_keep_browsers_careful(client, number) -> None:
    for path in ("/", "/static/js/main.js", "/api/about", f"/media/{number['notes.txt']}", "/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert policy.startswith("default-src 'self'" if path in ("/", "/static/js/main.js") else "default-src 'none'")


def test_documentation_loads_nothing_from_elsewhere(client) -> None:
    refused(client.get("/docs"), 404)
    refused(client.get("/redoc"), 404)
    assert client.get("/openapi.json").json()["info"]["title"] == "LookHear"
