"""Looking for things: words, pictures, recordings, the microphone; combining, filtering, going back."""

from __future__ import annotations

import io
import json

import pytest
import soundfile as sf
from fake_archive import jpeg, samples, wav
from waiting import until

DROP = """([bytes, name, type]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([new Uint8Array(bytes)], name, {type}));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true}));
  }
}"""
PASTE = """([bytes, name, type]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([new Uint8Array(bytes)], name, {type}));
  const pasted = {clipboardData: carried, bubbles: true, cancelable: true};
  document.body.dispatchEvent(new ClipboardEvent("paste", pasted));
}"""


def _sent(site) -> dict:
    """The last search that reached the service."""
    return site.last("/api/search")


def _names(page) -> list[str]:
    return page.locator("#chips .what").all_inner_texts()


def test_words_are_looked_for_and_every_hit_is_told(visit, site):
    page = visit().search("a red boat")
    assert _sent(site)["all"] == [{"text": "a red boat"}]
    assert _sent(site)["kind"] == "moments"
    assert page.locator("#hits > li").count() == 20
    assert page.locator("#hits > li").first.locator("h3").inner_text() == "tape-00.wav"
    assert page.locator(".sum").inner_text() == "The first 20 moments for a red boat"
    assert "97 %" in page.locator("#hits > li").first.inner_text()
    until(page, "document.querySelector('#live').textContent.startsWith('20 hits')")
    assert "q=a+red+boat" in page.url


def test_signs_make_parts_and_a_press_turns_one(visit, site):
    page = visit().search('boat -rain +"two children"')
    assert _sent(site)["all"] == [{"text": "boat"}, {"text": "two children"}]
    assert _sent(site)["none"] == [{"text": "rain"}]
    turn = page.locator("#chips .turn", has_text="rain")
    assert turn.get_attribute("aria-pressed") == "true"
    with page.expect_response("**/api/search"):
        turn.click()
    assert _sent(site)["none"] == []
    with page.expect_response("**/api/search"):
        page.get_by_role("button", name="Take away two children").click()
    assert _sent(site)["all"] == [{"text": "boat"}, {"text": "rain"}]


def test_words_can_be_added_as_a_part_and_taken_back(visit, site):
    page = visit().search("boat")
    page.locator("#words").fill("lake")
    with page.expect_response("**/api/search"):
        page.get_by_role("button", name="Add these words").click()
    assert _names(page) == ["lake"]
    page.locator("#words").press("Backspace")
    assert page.locator("#words").input_value() == "lake"
    assert _names(page) == []


@pytest.mark.parametrize(
    ("how", "name", "kind"),
    [(DROP, "hens.jpg", "image/jpeg"), (PASTE, "pasted.png", "image/png"), (DROP, "word.wav", "audio/wav")],
)
def test_a_picture_or_a_recording_is_dropped_or_pasted(visit, site, how, name, kind):
    page = visit().open()
    data = jpeg(3, 200) if kind.startswith("image") else wav(samples(1)[:16_000])
    page.get_by_text("Village tapes").wait_for()
    page.evaluate(how, [list(data), name, kind])
    page.locator("#hits > li").first.wait_for()
    assert "upload" in _sent(site)["all"][0]
    assert _names(page) == [name]
    assert data in site.last("/api/uploads")
    assert page.locator("#chips img").count() == (1 if kind.startswith("image") else 0)


def test_a_file_is_chosen_and_combined_with_words(visit, site):
    page = visit().search("red -boat")
    page.locator("#file").set_input_files({"name": "hens.jpg", "mimeType": "image/jpeg", "buffer": jpeg(2, 100)})
    page.locator("#chips .what", has_text="hens.jpg").wait_for()
    until(page, "document.querySelector('.sum')?.textContent.includes('hens.jpg')")
    assert [sorted(part) for part in _sent(site)["all"]] == [["text"], ["upload"]]
    assert _sent(site)["none"] == [{"text": "boat"}]


def test_a_query_is_spoken_and_sent_aswav(visit, site):
    page = visit().open()
    page.get_by_role("button", name="Speak the query").click()
    until(page, "parseFloat(document.querySelector('#spoken').textContent) > 0.6")
    page.get_by_role("button", name="Search with this").click()
    page.locator("#hits > li").first.wait_for()
    body = site.last("/api/uploads")
    samples, _ = sf.read(io.BytesIO(body[body.index(b"RIFF") : body.rindex(b"\r\n--")]))
    assert len(samples) > 20_000
    assert abs(samples).max() > 0.1  # the bursts that the made-up microphone hears
    assert _names(page) == ["spoken.wav"]


def test_speaking_is_called_off(visit, site):
    page = visit().open()
    page.get_by_role("button", name="Speak the query").click()
    page.locator("#spoken-done").wait_for()
    page.keyboard.press("Escape")
    page.locator("#speaking").wait_for(state="hidden")
    assert not any(path == "/api/uploads" for path, _ in site.asked)


def test_filters_narrow_and_are_cleared(visit, site):
    page = visit().search("boat")
    with page.expect_response("**/api/search"):
        page.get_by_role("checkbox", name="Ana").check()
    assert _sent(site)["where"] == {"details": {"speaker": ["Ana"]}}
    assert page.get_by_role("checkbox", name="Ana").is_checked()
    page.get_by_label("Not before").fill("1958")
    with page.expect_response("**/api/search"):
        page.get_by_label("Not before").press("Tab")
    with page.expect_response("**/api/search"):
        page.get_by_label("Folder").select_option("/archive/1961/town")
    assert _sent(site)["where"] == {"details": {"speaker": ["Ana"]}, "since": "1958", "folder": "/archive/1961/town"}
    assert page.get_by_label("Speaker 11").count() == 0
    page.get_by_role("button", name="All 16").click()
    assert page.get_by_label("Speaker 11").count() == 1
    with page.expect_response("**/api/search"):
        page.get_by_role("button", name="Clear all filters").click()
    assert _sent(site)["where"] == {}


def test_a_date_that_is_none_is_not_sent(visit, site):
    page = visit().search("boat")
    before = len(site.asked)
    page.get_by_label("Not before").fill("last year")
    page.get_by_label("Not before").press("Enter")
    assert page.evaluate("document.querySelector('.dates input').validity.patternMismatch")
    assert [path for path, _ in site.asked[before:] if path == "/api/search"] == []


def test_more_like_this_and_back(visit, site):
    page = visit().search("boat")
    page.locator("#hits > li").nth(2).get_by_role("button", name="More like this").click()
    page.locator("#chips .what", has_text="like tape-02.wav").wait_for()
    until(page, "document.querySelector('.sum')?.textContent.includes('like tape-02')")
    assert _sent(site)["all"] == [{"moment": {"file": 2, "start": 3.4, "end": 4.0}}]
    page.go_back()
    until(page, "document.querySelector('.sum')?.textContent.endsWith('for boat')")
    assert page.locator("#words").input_value() == "boat"
    assert _sent(site)["all"] == [{"text": "boat"}]
    page.go_back()
    page.locator("#motto").wait_for()
    assert page.locator("#hits").count() == 0
    page.go_forward()
    page.locator("#hits").wait_for()


def test_an_address_says_the_whole_query(visit, site):
    one = visit()
    page = one.open(
        "?q=boat&not=rain&and=%40moment:4:1.5:2:a%3Ab.wav&and=%40text:%40home&kind=texts&by.speaker=Ana&by.speaker=Jon&since=1950"
    )
    page.locator("#hits").wait_for()
    asked = _sent(site)
    assert asked["all"] == [{"text": "boat"}, {"moment": {"file": 4, "start": 1.5, "end": 2}}, {"text": "@home"}]
    assert asked["none"] == [{"text": "rain"}]
    assert asked["where"] == {"since": "1950", "details": {"speaker": ["Ana", "Jon"]}}
    assert asked["kind"] == "texts"
    assert _names(page) == ["rain", "like a:b.wav", "@home"]
    with page.expect_response("**/api/search"):
        page.get_by_role("button", name="Take away rain").click()
    address = page.url
    page.goto(address)
    page.locator("#hits").wait_for()
    assert json.dumps(_sent(site), sort_keys=True) == json.dumps({**asked, "none": []}, sort_keys=True)


def test_load_more_goes_on_where_it_was(visit, site):
    page = visit().search("boat")
    page.get_by_role("button", name="Load more").click()
    page.locator("#hits > li").nth(39).wait_for()
    assert _sent(site)["offset"] == 20
    assert page.evaluate("document.activeElement === document.querySelectorAll('#hits > li')[20]")
    page.get_by_role("button", name="Load more").click()
    page.get_by_text("That is all.").wait_for()
    assert page.locator("#hits > li").count() == 45
    assert page.locator(".sum").inner_text() == "45 moments for boat"


def test_an_empty_page_shows_ways_to_begin(visit, site):
    page = visit().open()
    assert page.get_by_role("heading", level=1).inner_text().startswith("Ask for what was said")
    page.get_by_role("button", name="a red boat on the lake with 1 children").click()
    page.locator("#hits").wait_for()
    assert _sent(site)["all"] == [{"text": "a red boat on the lake with 1 children"}]
    page.locator("#home").click()
    page.get_by_role("button", name="Search by picture-01.jpg").click()
    page.locator("#hits").wait_for()
    assert _sent(site)["all"] == [{"moment": {"file": 101, "start": 0, "end": 0}}]
