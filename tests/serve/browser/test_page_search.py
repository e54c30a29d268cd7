"""Looking for things on a real service: words, pictures, recordings, the microphone; combined, filtered, back again."""

from __future__ import annotations

import pytest
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


def _chips(page) -> list[str]:
    return page.locator("#chips .what").all_inner_texts()


def test_words_are_looked_for_and_every_hit_is_told(visit):
    one = visit()
    page = one.search("a red boat")
    assert one.query["all"] == [{"text": "a red boat"}]
    assert one.query["kind"] == "moments"
    assert page.locator("#hits h3").all_inner_texts() == [hit["name"] for hit in one.answer["hits"]]
    assert len(one.answer["hits"]) == 20
    assert page.locator(".sum").inner_text() == "The first 20 moments for a red boat"
    until(page, "document.querySelector('#live').textContent.startsWith('20 hits')")
    assert page.url.endswith("?q=a+red+boat")


def test_signs_make_parts_and_a_press_turns_one(visit):
    one = visit()
    page = one.search('boat -rain +"two children"')
    assert one.query["all"] == [{"text": "boat"}, {"text": "two children"}]
    assert one.query["none"] == [{"text": "rain"}]
    turn = page.locator("#chips .turn", has_text="rain")
    assert turn.get_attribute("aria-pressed") == "true"
    one.after(turn.click)
    assert one.query["none"] == []
    one.after(page.get_by_role("button", name="Take away two children").click)
    assert one.query["all"] == [{"text": "boat"}, {"text": "rain"}]


def test_words_can_be_added_as_a_part_and_taken_back(visit):
    one = visit()
    page = one.search("boat")
    page.locator("#words").fill("lake")
    one.after(page.get_by_role("button", name="Add these words").click)
    assert _chips(page) == ["lake"]
    page.locator("#words").press("Backspace")
    assert page.locator("#words").input_value() == "lake"
    assert _chips(page) == []


@pytest.mark.parametrize(
    ("how", "name", "kind"),
    [(DROP, "hens.jpg", "image/jpeg"), (PASTE, "pasted.jpg", "image/jpeg"), (DROP, "word.wav", "audio/wav")],
)
def test_a_picture_or_a_recording_is_dropped_or_pasted(visit, how, name, kind):
    one = visit()
    page = one.open()
    pictured = kind.startswith("image")
    data = jpeg(3, 200) if pictured else wav(samples(1)[:16_000])
    with page.expect_response("**/api/uploads") as sent:
        one.after(lambda: page.evaluate(how, [list(data), name, kind]))
    told = sent.value.json()
    assert (told["modality"], told["seconds"]) == (("picture", None) if pictured else ("recording", 1.0))
    assert one.query["all"] == [{"upload": told["id"]}]
    assert _chips(page) == [name]
    assert page.locator("#chips img").count() == pictured
    assert page.locator("#chips .hear").count() == (not pictured)


def test_a_file_is_chosen_and_combined_with_words(visit):
    one = visit()
    page = one.search("red -boat")
    chosen = {"name": "hens.jpg", "mimeType": "image/jpeg", "buffer": jpeg(2, 100)}
    one.after(lambda: page.locator("#file").set_input_files(chosen))
    assert [sorted(part) for part in one.query["all"]] == [["text"], ["upload"]]
    assert one.query["none"] == [{"text": "boat"}]
    assert page.locator(".sum").inner_text().endswith("for red, not boat, hens.jpg")


def test_a_file_that_is_neither_is_refused(visit):
    one = visit()
    page = one.search("red")
    page.locator("#file").set_input_files({"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"not a picture"})
    page.get_by_role("alert").filter(has_text="It reads").wait_for()
    assert page.locator("#chips li").count() == 0
    assert page.locator("#hits > li").count() == 20  # what was there stays


def test_a_query_is_spoken_and_sent_as_wav(visit):
    one = visit()
    page = one.open()
    page.get_by_role("button", name="Speak the query").click()
    until(page, "parseFloat(document.querySelector('#spoken').textContent) > 0.6")
    with page.expect_response("**/api/uploads") as sent:
        one.after(page.get_by_role("button", name="Search with this").click)
    told = sent.value.json()
    assert told["modality"] == "recording"
    assert told["seconds"] > 0.6
    assert _chips(page) == ["spoken.wav"]
    page.get_by_role("button", name="Hear spoken.wav").click()
    until(page, "window.__sounds.some((a) => a.currentTime > 0)")


def test_speaking_is_called_off(visit):
    one = visit()
    page = one.open()
    page.get_by_role("button", name="Speak the query").click()
    page.locator("#spoken-done").wait_for()
    page.keyboard.press("Escape")
    page.locator("#speaking").wait_for(state="hidden")
    assert one.of("/api/uploads") == []


def test_filters_narrow_and_are_cleared(visit):
    one = visit()
    page = one.search("boat")
    one.after(page.get_by_role("checkbox", name="Ana").check)
    assert one.query["where"] == {"details": {"speaker": ["Ana"]}}
    assert {hit["details"]["speaker"] for hit in one.answer["hits"]} == {"Ana"}
    assert page.get_by_role("checkbox", name="Ana").is_checked()
    page.get_by_label("Not before").fill("1964")
    one.after(lambda: page.get_by_label("Not before").press("Tab"))
    assert page.evaluate("document.activeElement.ariaLabel") == "Not after"  # drawn again, and still where one was
    assert {hit["details"]["date"] >= "1964" for hit in one.answer["hits"]} == {True}
    assert page.url.endswith("?q=boat&since=1964&by.speaker=Ana")
    one.after(page.get_by_role("button", name="Clear all filters").click)
    assert one.query["where"] == {}
    assert len({hit["details"]["speaker"] for hit in one.answer["hits"]}) > 1


def test_a_folder_without_hits_says_so(visit):
    one = visit()
    page = one.search("boat")
    folder = page.get_by_label("Folder").locator("option", has_text="pictures").get_attribute("value")
    one.after(lambda: page.get_by_label("Folder").select_option(folder))
    page.get_by_role("heading", name="No moments found").wait_for()
    one.after(page.get_by_role("button", name="Look for pictures").click)
    assert {hit["folder"] for hit in one.answer["hits"]} == {folder}


def test_a_date_that_is_none_is_not_sent(visit):
    one = visit()
    page = one.search("boat")
    before = len(one.requests)
    page.get_by_label("Not before").fill("last year")
    page.get_by_label("Not before").press("Enter")
    assert page.evaluate("document.querySelector('.dates input').validity.patternMismatch")
    assert not any(r.url.endswith("/api/search") for r in one.requests[before:])


def test_more_like_this_and_back(visit):
    one = visit()
    page = one.search("boat")
    hit = one.answer["hits"][2]
    one.after(page.locator("#hits > li").nth(2).get_by_role("button", name="More like this").click)
    assert one.query["all"] == [{"moment": {key: hit[key] for key in ("file", "start", "end")}}]
    assert _chips(page) == [f"like {hit['name']}"]
    one.after(page.go_back)
    assert page.locator("#words").input_value() == "boat"
    assert one.query["all"] == [{"text": "boat"}]
    page.go_back()
    page.locator("#motto").wait_for()
    until(page, "document.querySelector('#hits') === null")
    one.after(page.go_forward)
    assert page.locator("#hits > li").count() == 20


def test_an_address_says_the_whole_query(visit):
    one = visit()
    file = one.search("boat").evaluate("1") and one.answer["hits"][0]["file"]
    address = (
        f"?q=boat&not=rain&and=%40moment:{file}:1.5:2:a%3Ab.wav&and=%40text:%40home&kind=texts"
        "&by.language=az&by.language=lt&since=1950"
    )
    page = one.after(lambda: one.open(address))
    first = one.query
    assert first["all"] == [
        {"text": "boat"},
        {"moment": {"file": file, "start": 1.5, "end": 2}},
        {"text": "@home"},
    ]
    assert first["none"] == [{"text": "rain"}]
    assert first["where"] == {"since": "1950", "details": {"language": ["az", "lt"]}}
    assert first["kind"] == "texts"
    assert _chips(page) == ["rain", "like a:b.wav", "@home"]
    one.after(page.get_by_role("button", name="Take away rain").click)
    one.after(page.reload)
    assert one.query == {**first, "none": []}


def test_load_more_goes_on_where_it_was(visit):
    one = visit()
    page = one.search("boat")
    seen = [(hit["file"], hit["start"]) for hit in one.answer["hits"]]
    while one.answer["more"]:
        one.after(page.get_by_role("button", name="Load more").click)
        assert one.query["offset"] == len(seen)
        until(page, f"document.activeElement === document.querySelectorAll('#hits > li')[{len(seen)}]")
        seen += [(hit["file"], hit["start"]) for hit in one.answer["hits"]]
    page.get_by_text("That is all.").wait_for()
    assert page.locator("#hits > li").count() == len(seen) > 20
    assert len(set(seen)) == len(seen)
    assert page.locator(".sum").inner_text() == f"{len(seen)} moments for boat"


def test_an_empty_page_shows_ways_to_begin(visit):
    one = visit()
    page = one.open()
    assert page.get_by_role("heading", level=1).inner_text().startswith("Ask for what was said")
    words = page.locator(".word").first
    text = words.inner_text()
    one.after(words.click)
    assert one.query["all"] == [{"text": text}]
    page.locator("#home").click()
    one.after(page.locator(".thumbs button").first.click)
    assert [sorted(part) for part in one.query["all"]] == [["moment"]]
    page.locator("#home").click()
    page.locator(".sample").first.get_by_role("button", name="Hear").click()
    until(page, "window.__sounds.some((a) => a.currentTime > 0)")
