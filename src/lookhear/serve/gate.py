"""Who may ask: hosts that the service is known by, pages of its own, those who have the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from lookhear.serve.asgi import App, Receive, Scope, Send, header, refuse
from lookhear.serve.refusals import Refusal

__all__ = ["Gate", "Token", "is_loopback", "known_host"]

_OPEN = ("/", "/health", "/api/session", "/favicon.ico")
"""Paths that need no token: they tell nothing of the archive. The page's own files (/static/) are open too."""
_ON = b"""<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">
<title>LookHear</title><p><a href="/">Go on</a></p></html>"""


class Token:
    """A secret, and the cookie that stands for it.

    The cookie is derived from the token, which cannot be told from it, and is called by it, so that services of other
    tokens on the same host do not take each other's.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._value = hmac.digest(self._secret, b"lookhear cookie", "sha256").hex()
        self.name = f"lookhear_{hashlib.sha256(self._value.encode()).hexdigest()[:8]}"

    def is_right(self, given: str) -> bool:
        """In constant time."""
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._secret)

    @property
    def cookie(self) -> str:
        """The header that a browser is given; scripts cannot read it, and other sites cannot make it be sent."""
        return f"{self.name}={self._value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000"

    def admits(self, scope: Scope) -> bool:
        """Whether a request has the cookie or the header ``Authorization: Bearer …``."""
        scheme, _, given = (header(scope, "authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and self.is_right(given.strip()):
            return True
        cookies = SimpleCookie()
        try:
            cookies.load(header(scope, "cookie") or "")
        except CookieError:
            return False
        return self.name in cookies and hmac.compare_digest(cookies[self.name].value.encode(), self._value.encode())


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def known_host(given: str, names: frozenset[str], any_address: bool) -> bool:
    """Whether a ``Host`` header names this service.

    A page of another site can make its own name point here (DNS rebinding), but cannot change what name the browser
    sends.

    Args:
        names: that it is known by, in small letters, without ports.
        any_address: it listens on all addresses of the machine, so that any may be meant; names still may not.
    """
    try:
        host = urlsplit(f"//{given}").hostname or ""
    except ValueError:
        return False
    if host in names:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any_address or (address.is_loopback and "localhost" in names)


class Gate:
    """Lets those in who may ask.

    Args:
        names: as of ``known_host``.
        any_address: as of ``known_host``.
        token: that is asked for; None for a service that only this machine can reach.
    """

    def __init__(self, app: App, names: frozenset[str], any_address: bool = False, token: Token | None = None) -> None:
        self.app, self.names, self.any_address, self.token = app, names, any_address, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._stranger(scope)
        if refusal is None and self.token is not None:
            if scope["path"] == "/" and self._brings_token(scope, self.token):
                await _go_on(send, self.token)
                return
            if not (_is_open(scope["path"]) or self.token.admits(scope)):
                fix = "Open the address that `lookhear serve` printed, or send `Authorization: Bearer TOKEN`."
                refusal = Refusal(401, "this service asks for a token", fix, {"www-authenticate": "Bearer"})
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await refuse(send, refusal, close=True)

    def _stranger(self, scope: Scope) -> Refusal | None:
        host = header(scope, "host")
        if host is None or not known_host(host, self.names, self.any_address):
            fix = "Use the address that `lookhear serve` printed, or start it with --name NAME."
            return Refusal(400, "this service is not known by that host name", fix)
        origin = header(scope, "origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return Refusal(403, "pages of other sites may not ask this service", "Use its own page.")
        return None

    @staticmethod
    def _brings_token(scope: Scope, token: Token) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return token.is_right(given[0])


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith("/static/")


async def _go_on(send: Send, token: Token) -> None:
    # No redirect: after a click in another site's page, a strict cookie is not sent along a redirect, but it is when
    # a page of ours goes on. The token does not stay in the address bar.
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(_ON)).encode())]
    headers += [(b"set-cookie", token.cookie.encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ON})
