"""What one does with the hits of a real service: hear, look, choose, export, go through them by keys; the map."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from real_archive import EVIL_NAME
from waiting import until

PLAYING = """(() => {
  const all = window.__sounds.filter((a) => !a.paused);
  return all.length === 1 ? all[0].currentTime : null;
})()"""


@pytest.fixture
def one(visit):
    """A visit with the moments of a search."""
    found = visit()
    found.search("a red boat")
    return found


def test_the_moment_is_heard_and_ends(one):
    page, hit = one.page, one.answer["hits"][0]
    card = page.locator("#hits > li").first
    with page.expect_response("**/excerpt?*"):
        card.locator(".play").click()
    begin = float(one.of("/excerpt")[-1]["start"])  # of the stretch that is played
    until(page, f"{PLAYING} !== null || window.__sounds.some((a) => a.currentTime > 0)")
    at = page.evaluate("Math.max(...window.__sounds.map((a) => a.currentTime))")
    assert hit["start"] - 0.11 <= begin + at <= hit["end"] + 0.6
    until(page, "window.__sounds.every((a) => a.paused)")  # it has stopped by itself
    end = page.evaluate("Math.max(...window.__sounds.map((a) => a.currentTime))")
    assert hit["end"] <= begin + end <= hit["end"] + 0.6
    assert page.locator(".sounding").count() == 0


def test_a_press_on_the_waveform_plays_from_there_and_only_one_sounds(one):
    page = one.page
    wave = page.locator("#hits > li").nth(0).locator(".sheet")
    wave.wait_for()
    until(page, "document.querySelector('#hits > li .sheet > div')?.shadowRoot.querySelector('[part~=region]')")
    mark = page.evaluate("""() => {
      const sheet = document.querySelector('#hits > li .sheet');
      const region = sheet.firstElementChild.shadowRoot.querySelector('[part~=region]').getBoundingClientRect();
      const box = sheet.getBoundingClientRect();
      return [(region.left - box.left) / box.width, (region.right - box.left) / box.width];
    }""")
    share = 0.25 if mark[0] > 0.5 else 0.75  # beside the mark
    with page.expect_response("**/excerpt?*"):
        wave.click(position={"x": wave.bounding_box()["width"] * share, "y": 20})
    given = one.of("/excerpt")[-1]
    length = float(given["end"]) - float(given["start"])
    until(page, f"{PLAYING} !== null")
    assert share * length - 0.1 <= page.evaluate(PLAYING) <= share * length + 1
    page.locator("#hits > li").nth(1).locator(".play").click()
    until(page, "window.__sounds.filter((a) => a.currentTime > 0).length === 2")
    assert page.evaluate("window.__sounds.filter((a) => !a.paused).length") <= 1


def test_the_waveform_the_moment_and_the_score_are_drawn(one):
    page, hit = one.page, one.answer["hits"][0]
    card = page.locator("#hits > li").first
    card.locator(".curve path").wait_for(state="attached")
    told = card.get_by_role("img").get_attribute("aria-label")
    best = max(value for value in hit["curve"]["values"] if value is not None)
    assert f"the moment is from {hit['start']:.2f} s to {hit['end']:.2f} s" in told
    assert f"the score is highest, {best:.2f}," in told
    given = one.of("/peaks")[0]
    begin, end = float(given["start"]), float(given["end"])
    shape = page.evaluate("""() => {
      const sheet = document.querySelector('#hits > li .sheet');
      const region = sheet.firstElementChild.shadowRoot.querySelector('[part~=region]').getBoundingClientRect();
      const box = sheet.getBoundingClientRect();
      return [(region.left - box.left) / box.width, (region.right - box.left) / box.width];
    }""")
    expected = [(hit[side] - begin) / (end - begin) for side in ("start", "end")]
    assert shape == pytest.approx(expected, abs=0.01)


def test_the_keyboard_alone(visit):
    one = visit()
    page = one.open()
    page.keyboard.press("/")
    page.keyboard.type("boat")
    one.after(lambda: page.keyboard.press("Enter"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("[...document.querySelectorAll('#hits > li')].indexOf(document.activeElement)") == 1
    page.keyboard.press("Enter")
    until(page, "window.__sounds.some((a) => a.currentTime > 0)")
    page.keyboard.press("Escape")
    until(page, "window.__sounds.every((a) => a.paused)")
    page.keyboard.press(" ")
    until(page, f"{PLAYING} !== null")
    page.keyboard.press(" ")
    until(page, "window.__sounds.every((a) => a.paused)")
    page.keyboard.press("x")
    page.get_by_text("1 hit chosen").first.wait_for()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "words"
    page.keyboard.press("ArrowDown")
    one.after(lambda: page.keyboard.press("3"))
    assert one.query["kind"] == "pictures"
    page.locator(".tile").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("#look[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("#look[open]").wait_for(state="hidden")
    one.after(lambda: page.keyboard.press("m"))
    assert page.locator("#chips .what").inner_text().startswith("like ")


def test_single_keys_can_be_switched_off(one):
    page = one.page
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys and help").wait_for()
    page.get_by_label("Single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") != "words"


def test_pictures_hang_on_a_wall_and_are_looked_at(one):
    page = one.page
    one.after(page.get_by_role("radio", name="Pictures").check)
    page.locator(".tile img").first.wait_for()
    tall = page.evaluate("[...document.querySelectorAll('.tile')].slice(0, 6).map((t) => t.offsetHeight)")
    assert max(tall) == min(tall)
    hit = one.answer["hits"][1]
    page.get_by_role("button", name=f"Look at {hit['name']}").click()
    until(page, "document.querySelector('#look-picture').naturalWidth > 0")
    one.after(page.get_by_role("dialog", name=hit["name"]).get_by_role("button", name="More like this").click)
    assert one.query["all"] == [{"moment": {"file": hit["file"], "start": 0, "end": 0}}]
    assert one.answer["hits"][0]["file"] != hit["file"] or len(one.answer["hits"]) > 1


@pytest.mark.parametrize("label", ["TextGrid", "EAF", "CSV"])
def test_chosen_hits_are_exported(one, label):
    page, hits = one.page, one.answer["hits"]
    for i in (0, 4):
        page.locator("#hits > li").nth(i).get_by_role("checkbox").check()
    with page.expect_download() as saved:
        page.get_by_role("region", name="Chosen hits").get_by_role("button", name=label).click()
    content = saved.value.path().read_bytes()
    if saved.value.suggested_filename.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            texts = [parts.read(name).decode() for name in parts.namelist()]
    else:
        texts = [content.decode("utf-8-sig")]
    assert len(texts) == (1 if label == "CSV" else len({hits[i]["file"] for i in (0, 4)}))
    assert all("a red boat" in text for text in texts)
    if label == "CSV":
        rows = texts[0].strip().splitlines()[1:]
        assert len(rows) == 2
        assert [hits[i]["name"].rsplit(".")[0] in row for i, row in zip((0, 4), rows)].count(True) >= 1
    page.get_by_role("button", name="Clear", exact=True).click()
    page.locator("#tray").wait_for(state="hidden")
    assert page.locator(".tick input:checked").count() == 0


def test_the_map_is_heard_and_searched_from(visit):
    one = visit()
    page = one.open("?view=map")
    page.locator("#map").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    name = page.locator("#map-note").inner_text()
    assert name
    until(page, "document.querySelector('#live').textContent === document.querySelector('#map-note').innerText")
    page.keyboard.press("+")
    one.after(lambda: page.keyboard.press("Enter"))
    assert page.locator("#chips .what").inner_text() == f"like {name.split(' at ')[0]}"
    page.go_back()
    page.locator("#map").wait_for()
    page.get_by_text("The map as a list").click()
    page.get_by_label("Only names with").fill("tape-07")
    rows = page.locator(".map-rows li")
    rows.first.wait_for()
    assert all("tape-07" in text for text in rows.all_inner_texts())
    rows.first.get_by_role("button", name="Hear tape-07.wav").click()
    until(page, "window.__sounds.some((a) => a.currentTime > 0)")
    one.after(rows.first.get_by_role("button", name="More like this").click)
    assert page.locator("#chips .what").inner_text() == "like tape-07.wav"


def test_the_map_sounds_under_the_pointer(visit):
    one = visit()
    with one.page.expect_response("**/api/map") as given:
        page = one.open("?view=map")
    points = given.value.json()["points"]
    page.locator("#map").wait_for()
    page.get_by_role("heading", name="Map of the archive").click()  # browsers keep quiet before a page is touched
    box = page.locator("#map").bounding_box()
    places = np.array([(point["x"], -point["y"]) for point in points])
    low, high = places.min(0), places.max(0)
    places = 22 + (places - low) / (high - low) * (np.array([box["width"], box["height"]]) - 44)  # pixels, from the top
    heard = [i for i, point in enumerate(points) if point["modality"] == "audio"]
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    best = max(heard, key=lambda i: apart[i].min())  # the recording that lies most by itself
    page.mouse.move(box["x"] + places[best][0], box["y"] + places[best][1])
    until(page, "window.__sounds.some((a) => a.currentTime > 0)")
    assert page.locator("#map-note").inner_text().startswith(points[best]["name"])


@pytest.mark.parametrize("kind", ["moments", "pictures", "texts"])
def test_script_in_names_is_text(visit, kind):
    one = visit()
    page = one.after(lambda: one.open(f"?q={EVIL_NAME}&and={EVIL_NAME}&kind={kind}"))
    while one.answer["more"]:
        one.after(page.get_by_role("button", name="Load more").click)
    shown = page.locator("#hits").inner_text() + "".join(
        page.locator("#hits [aria-label]").evaluate_all("all => all.map((e) => e.getAttribute('aria-label'))")
    )
    assert EVIL_NAME in shown
    page.locator("#hits > li", has_text="onerror").first.get_by_role("checkbox").check()
    page.locator("#hits > li", has_text="onerror").first.focus()
    one.after(lambda: page.keyboard.press("m"))
    assert page.evaluate("window.pwned") is None
    assert page.locator("#content script, img[src='x']").count() == 0
