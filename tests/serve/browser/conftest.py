"""A real browser on the page. Skipped, with the reason, where there is no chromium or no playwright."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

VENDOR = Path(__file__).parent / "vendor"


def _browser() -> str | None:
    return os.environ.get("LOOKHEAR_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser whose microphone hears three bursts of noise."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install lookhear[dev]"
    )
    program = _browser()
    if program is None:
        pytest.skip("no chromium: install one, or name it in LOOKHEAR_CHROMIUM")
    heard = tmp_path_factory.mktemp("microphone") / "heard.wav"
    t = np.arange(3 * 48_000) / 48_000
    sf.write(heard, 0.4 * np.sin(2 * np.pi * 440 * t) * (np.sin(2 * np.pi * 2 * t) > 0), 48_000, subtype="PCM_16")
    fake = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={heard}",
    ]
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox", *fake])
        yield browser
        browser.close()


class Visit:
    """A page, and what it did that it should not: errors, refused styles and scripts, requests to elsewhere."""

    def __init__(self, context, url: str) -> None:
        self.url = url
        self.errors: list[str] = []
        self.abroad: list[str] = []
        self.page = context.new_page()
        self.page.set_default_timeout(8000)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on(
            "console",
            lambda m: (
                self.errors.append(m.text) if m.type == "error" and "Failed to load resource" not in m.text else None
            ),
        )
        self.page.on(
            "request", lambda r: None if r.url.startswith((url, "blob:" + url, "data:")) else self.abroad.append(r.url)
        )

    def open(self, path: str = ""):
        self.page.goto(self.url + path)
        return self.page

    def search(self, words: str):
        if self.page.url == "about:blank":
            self.open()
        self.page.locator("#words").fill(words)
        self.page.keyboard.press("Enter")
        self.page.locator("#hits > li").first.wait_for()
        return self.page


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
    for one in made:
        assert one.errors == []
        assert one.abroad == []
    for context in contexts:
        context.close()


@pytest.fixture
def findings():
    """``findings(page)`` → what axe-core (vendored here, MPL-2.0) finds serious or critical."""
    script = (VENDOR / "axe.min.js").read_text()

    def run(page) -> list[str]:
        page.evaluate(script)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{v['id']}: {n['target']} {n['failureSummary']}"
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
            for n in v["nodes"]
        ]

    return run


@pytest.fixture
def site():
    """The service that the page is tried with."""
    from fake_service import FakeService

    service = FakeService()
    yield service
    service.stop()
