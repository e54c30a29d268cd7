"""What one does with hits: hear, look, choose, export, go through them by keys; the map."""

from __future__ import annotations

import pytest
from fake_archive import hit
from waiting import until

PLAYING = """() => {
  const all = window.__sounds.filter((a) => !a.paused);
  return all.length === 1 ? all[0].currentTime : null;
}"""
WATCH = """
window.__sounds = [];
window.Audio = class extends Audio { constructor() { super(); window.__sounds.push(this); } };
"""


@pytest.fixture
def page(visit):
    """Hits of a search; every player made is in ``window.__sounds``."""
    one = visit()
    one.page.add_init_script(WATCH)
    one.open()
    return one.search("a red boat")


def test_the_moment_is_heard_and_ends(page):
    card = page.locator("#hits > li").first  # from 3.0 s to 3.6 s, in a stretch that begins at 1.0 s
    card.get_by_role("button", name="Hear tape-00.wav at 3.0 s").click()
    until(page, f"({PLAYING})() !== null")
    at = page.evaluate(PLAYING)
    assert at is None or 1.9 - 1e-3 <= at <= 2.75
    card.get_by_role("button", name="Hear").wait_for()  # it has stopped by itself
    end = page.evaluate("window.__sounds.find((a) => a.currentTime > 0).currentTime")
    assert 2.6 <= end <= 3.0


def test_a_press_on_thewaveform_plays_from_there_and_only_one_sounds(page):
    page.locator("#hits > li .wave .sheet").nth(1).wait_for()
    wave = page.locator("#hits > li").nth(0).locator(".sheet")
    width = wave.bounding_box()["width"]
    wave.click(position={"x": width * 0.75, "y": 20})
    until(page, f"({PLAYING})() !== null")
    assert 4.4 <= page.evaluate(PLAYING) <= 5.6  # three quarters of a stretch of six seconds
    page.locator("#hits > li").nth(1).locator(".play").click()
    until(page, "window.__sounds[1]?.currentTime > 0 || window.__sounds.filter((a) => a.currentTime > 0).length === 2")
    assert page.evaluate("window.__sounds.filter((a) => !a.paused).length") <= 1


def test_thewaveform_the_moment_and_the_score_are_drawn(page):
    card = page.locator("#hits > li").first
    card.locator(".curve path").wait_for(state="attached")
    told = card.get_by_role("img").get_attribute("aria-label")
    best = max(hit(0, "audio")["curve"]["values"])
    assert told == (
        "Waveform from 1.0 s to 7.0 s; the moment is from 3.00 s to 3.60 s; "
        f"the score is highest, {best:.2f}, in the moment marked."
    )
    shape = page.evaluate("""() => {
      const sheet = document.querySelector('#hits > li .sheet').getBoundingClientRect();
      const inside = document.querySelector('#hits > li .sheet > div').shadowRoot;
      const region = inside.querySelector('[part~=region]').getBoundingClientRect();
      return [(region.left - sheet.left) / sheet.width, (region.right - sheet.left) / sheet.width];
    }""")
    assert shape == pytest.approx([2.0 / 6, 2.6 / 6], abs=0.01)


def test_the_keyboard_alone(visit, site):
    one = visit()
    one.page.add_init_script(WATCH)
    page = one.open()
    page.get_by_text("Village tapes").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("boat")
    page.keyboard.press("Enter")
    page.locator("#hits > li").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("[...document.querySelectorAll('#hits > li')].indexOf(document.activeElement)") == 1
    page.keyboard.press("Enter")
    until(page, f"({PLAYING})() !== null")
    page.keyboard.press(" ")
    until(page, "window.__sounds.every((a) => a.paused)")
    page.keyboard.press("x")
    page.get_by_text("1 hit chosen").first.wait_for()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "words"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("3")
    page.locator(".tile").first.wait_for()
    assert site.last("/api/search")["kind"] == "pictures"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("#look[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("#look[open]").wait_for(state="hidden")
    page.keyboard.press("m")
    page.locator("#chips .what", has_text="like picture-").wait_for()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys and help").wait_for()
    page.get_by_label("Single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") != "words"


def test_pictures_hang_on_a_wall_and_are_looked_at(page):
    page.get_by_role("radio", name="Pictures").check()
    page.locator(".tile img").first.wait_for()
    boxes = page.evaluate(
        "[...document.querySelectorAll('.tile')].slice(0, 6).map((t) => t.getBoundingClientRect().height)"
    )
    assert max(boxes) - min(boxes) < 1
    page.get_by_role("button", name="Look at picture-01.jpg 95 % likely").click()
    look = page.get_by_role("dialog", name="picture-01.jpg")
    look.get_by_role("button", name="More like this").click()
    page.locator("#chips .what", has_text="like picture-01.jpg").wait_for()


@pytest.mark.parametrize("label", ["TextGrid", "EAF", "CSV"])
def test_chosen_hits_are_exported(page, site, label):
    page.locator("#hits > li").nth(0).get_by_role("checkbox").check()
    page.locator("#hits > li").nth(4).get_by_role("checkbox").check()
    with page.expect_download() as saved:
        page.get_by_role("region", name="Chosen hits").get_by_role("button", name=label).click()
    assert saved.value.suggested_filename == "hits.csv"
    sent = site.last("/api/export")
    assert sent["format"] == label.lower()
    assert [(h["file"], h["start"], h["query"]) for h in sent["hits"]] == [
        (0, 3.0, "a red boat"),
        (4, 3.8, "a red boat"),
    ]
    assert saved.value.path().read_text().splitlines()[1] == "0,3,3.6,a red boat"
    page.get_by_role("button", name="Clear", exact=True).click()
    page.locator("#tray").wait_for(state="hidden")
    assert page.locator(".tick input:checked").count() == 0


def test_the_map_is_heard_and_searched_from(visit, site):
    one = visit()
    one.page.add_init_script(WATCH)
    page = one.open("?view=map")
    page.locator("#map").wait_for()
    page.locator("#map").click(position={"x": 60, "y": 8})  # nothing there; but the browser may sound from now on
    page.locator("#map").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    name = page.locator("#map-note").inner_text()
    assert name
    until(page, "document.querySelector('#live').textContent === document.querySelector('#map-note').innerText")
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    page.locator("#hits").wait_for()
    assert page.locator("#chips .what").inner_text() == f"like {name.split(' at ')[0]}"
    page.go_back()
    page.locator("#map").wait_for()
    page.get_by_text("The map as a list").click()
    page.get_by_label("Only names with").fill("tape-07")
    page.locator(".map-rows li", has_text="tape-07").first.wait_for()
    page.get_by_role("button", name="Hear tape-07.wav").first.click()
    until(page, "window.__sounds.some((a) => a.currentTime > 0)")
    page.locator(".map-rows li").first.get_by_role("button", name="More like this").click()
    page.locator("#hits").wait_for()
    assert site.last("/api/search")["all"][0]["moment"]["file"] == 7


def test_the_map_sounds_under_the_pointer(visit, site):
    one = visit()
    one.page.add_init_script(WATCH)
    page = one.open("?view=map")
    page.locator("#map").click(position={"x": 60, "y": 8})
    box = page.locator("#map").bounding_box()
    for step in range(0, 400):  # until a recording lies under the pointer
        page.mouse.move(
            box["x"] + 60 + (step * 37) % (box["width"] - 120), box["y"] + 60 + (step * 23) % (box["height"] - 120)
        )
        if " at " in page.locator("#map-note").inner_text():
            break
    until(page, "window.__sounds.some((a) => a.currentTime > 0)")
