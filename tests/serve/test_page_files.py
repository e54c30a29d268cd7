"""The page's files as they lie: all there, nothing from elsewhere, nothing that the page's policy would refuse."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import lookhear

PAGE = Path(lookhear.__file__).parent / "serve/page"
OWN = sorted(path for path in PAGE.rglob("*") if path.suffix in (".html", ".css", ".js") and "vendor" not in path.parts)
WAVESURFER = "sha256-fF0LBso7Nz75zaFRDBUefBDvPe19hjaiDnnc8lt+2Js="  # in the service's policy


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_whatever_is_named_is_there():
    html = _text(PAGE / "index.html")
    named = {PAGE / found for found in re.findall(r'(?:src|href)="/static/([^"]+)"', html)}
    for path in OWN:
        if path.suffix == ".css":
            named |= {(path.parent / found).resolve() for found in re.findall(r'url\("([^"]+)"\)', _text(path))}
        if path.suffix == ".js":
            named |= {(path.parent / found).resolve() for found in re.findall(r'from "(\.[^"]+)"', _text(path))}
            named |= {PAGE / found for found in re.findall(r'"/static/([^"]+)"', _text(path))}
    assert len(named) > 25
    assert [path for path in named if not path.is_file()] == []
    scripts = {path for path in OWN if path.suffix == ".js"}
    assert scripts - named == set()  # none that nothing loads


def test_each_symbol_and_each_element_that_scripts_ask_for_is_in_the_page():
    html = _text(PAGE / "index.html")
    scripts = "".join(_text(path) for path in OWN if path.suffix == ".js")
    here = set(re.findall(r'\bid="([\w-]+)"', html)) | set(re.findall(r'\bid: "([\w-]+)"', scripts))
    asked = set(re.findall(r'\$\("#([\w-]+)', scripts)) | set(re.findall(r'<use href="#([\w-]+)"', html))
    symbols = {f"i-{name}" for name in re.findall(r'icon\("(\w+)"\)', scripts)}
    assert (asked | symbols) - here == set()


def test_nothing_is_fetched_from_elsewhere():
    for path in OWN:
        assert set(re.findall(r"https?://[\w.]+", _text(path))) <= {"http://www.w3.org"}, path  # SVG's namespace
        assert "//" not in " ".join(re.findall(r'(?:src|href)="([^"]*)"', _text(path))), path


def test_no_markup_is_made_of_text_and_nothing_is_inline():
    for path in OWN:
        text = _text(path)
        if path.suffix == ".js":
            banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|javascript:"
            assert not re.search(banned, text), path
        if path.suffix == ".html":
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_the_policy_allows_the_one_style_of_wavesurfer():
    script = _text(PAGE / "vendor/wavesurfer/wavesurfer.esm.js")
    height = re.search(r"HEIGHT = (\d+)", _text(PAGE / "js/wave.js"))[1]
    begin = script.index('nonce="${i}"`:""}>') + len('nonce="${i}"`:""}>')
    style = script[begin : script.index("</style>", begin)].replace("\\n", "\n")
    style = re.sub(r"\$\{this\.getHeight\([^}]*\)\}", height, style)
    assert "${" not in style
    assert WAVESURFER in _text(PAGE.parent / "shell.py")
    assert "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() == WAVESURFER


def test_licences_of_others_are_beside_their_work():
    vendor = PAGE / "vendor"
    assert "BSD 3-Clause" in _text(vendor / "wavesurfer/LICENSE")
    for font in ("source-sans-3", "source-serif-4"):
        assert "SIL OPEN FONT LICENSE" in _text(vendor / f"fonts/LICENSE-{font}").upper()


def test_files_are_of_a_size_to_read():
    assert {path.name: n for path in OWN if (n := len(_text(path).splitlines())) > 250} == {}
