"""A real browser on the page. Skipped, with the reason, where there is no chromium or no playwright."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import soundfile as sf

VENDOR = Path(__file__).parent / "vendor"
WATCH = """
window.__sounds = [];
window.Audio = class extends Audio { constructor() { super(); window.__sounds.push(this); } };
"""


@pytest.fixture(scope="session")
def browser_there():
    """playwright and the browser's program, or a reason to skip."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install lookhear[dev]")
    program = os.environ.get("LOOKHEAR_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium: install one, or name it in LOOKHEAR_CHROMIUM")
    return playwright, program


@pytest.fixture(scope="module")  # an event loop runs as long as it does, which other tests must not find
def chromium(browser_there, tmp_path_factory):
    """A browser whose microphone hears a tone, twice a second."""
    playwright, program = browser_there
    heard = tmp_path_factory.mktemp("microphone") / "heard.wav"
    t = np.arange(3 * 48_000) / 48_000
    sf.write(heard, 0.4 * np.sin(2 * np.pi * 440 * t) * (np.sin(2 * np.pi * 2 * t) > 0), 48_000, subtype="PCM_16")
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    fake.append(f"--use-file-for-fake-audio-capture={heard}")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox", *fake])
        yield browser
        browser.close()


class Visit:
    """A page, what it asked of the service, and what it did that it should not: errors, requests to elsewhere."""

    def __init__(self, context, url: str) -> None:
        self.url = url
        self.errors: list[str] = []
        self.abroad: list[str] = []
        self.requests: list = []
        self.answer: dict = {}
        self.page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.add_init_script(WATCH)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("console", self._heard)
        self.page.on("request", self._asked)

    def _heard(self, message) -> None:
        # What the service refuses, the browser tells on its console, too.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.errors.append(message.text)

    def _asked(self, request) -> None:
        self.requests.append(request)
        if not request.url.startswith((self.url, "blob:" + self.url, "data:")):
            self.abroad.append(request.url)

    def open(self, path: str = ""):
        self.page.goto(self.url + path)
        self.page.locator("#archive b").wait_for()
        return self.page

    def search(self, words: str):
        """Types and searches; ``answer`` is what the service said."""
        if self.page.url == "about:blank":
            self.open()
        self.page.locator("#words").fill(words)
        return self.after(lambda: self.page.keyboard.press("Enter"))

    def after(self, act):
        """Does what makes the page search, and waits for the answer and its hits."""
        with self.page.expect_response("**/api/search") as given:
            act()
        self.answer = given.value.json()
        if self.answer["hits"]:
            self.page.locator("#hits > li").first.wait_for()
        return self.page

    @property
    def query(self) -> dict:
        """The last search, as it was sent."""
        return [r.post_data_json for r in self.requests if r.url == self.url + "api/search"][-1]

    def of(self, path: str) -> list[dict[str, str]]:
        """What requests whose path ends so were given in their address."""
        urls = [urlsplit(r.url) for r in self.requests]
        return [{k: v[0] for k, v in parse_qs(url.query).items()} for url in urls if url.path.endswith(path)]


@pytest.fixture
def visit(chromium, site):
    """``visit(width=…, dark=…)`` → Visit; nothing may go wrong in it, and nothing leave its origin."""
    made, contexts = [], []

    def open_one(width: int = 1280, height: int = 860, dark: bool = False) -> Visit:
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            accept_downloads=True,
        )
        contexts.append(context)
        made.append(Visit(context, site.url))
        return made[-1]

    yield open_one
    for context in contexts:
        context.close()
    for one in made:
        assert one.errors == []
        assert one.abroad == []


@pytest.fixture
def findings():
    """``findings(page)`` → what axe-core (vendored here, MPL-2.0) finds serious or critical."""
    script = (VENDOR / "axe.min.js").read_text()

    def run(page) -> list[str]:
        page.evaluate(script)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        return [f"{v['id']}: {n['target']} {n['failureSummary']}" for v in serious for n in v["nodes"]]

    return run


@pytest.fixture(scope="session")
def site(browser_there, tmp_path_factory, tiny_run):
    """``lookhear serve`` on a small index."""
    from real_archive import Service, write

    from lookhear.search.details import read_details
    from lookhear.search.update import index_files

    base = tmp_path_factory.mktemp("village")
    table = write(base / "files")
    folders = [base / "files" / name for name in ("tapes", "pictures", "texts")]
    index_files(tiny_run, folders, base / "index", details=read_details(table)).close()
    service = Service(base / "index", base / "log")
    yield service
    service.stop()


@pytest.fixture
def fake():
    """A service that can be told to fail."""
    from fake_service import FakeService

    service = FakeService()
    yield service
    service.stop()
