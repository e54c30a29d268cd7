"""What goes wrong: a slow, full, refusing or vanished service; people who cannot see the page."""

from __future__ import annotations

import pytest
from fake_archive import jpeg
from waiting import until


@pytest.fixture
def site(fake):
    """Here the page is on a service that fails at will."""
    return fake


def test_slow_answers_are_spoken_of(visit, site):
    site.slow["/api/search"] = 1.5
    one = visit()
    page = one.open()
    page.locator("#words").fill("boat")
    page.keyboard.press("Enter")
    page.get_by_text("Listening through 12,345 segments").first.wait_for()
    page.locator("#hits > li").first.wait_for()
    assert page.locator("#wait").is_hidden()


def test_a_newer_search_wins_over_a_slow_one(visit, site):
    site.slow["/api/search"] = 0.8
    page = visit().open()
    page.locator("#words").fill("first")
    page.keyboard.press("Enter")
    page.locator("#words").fill("second")
    page.keyboard.press("Enter")
    page.locator("#hits").wait_for()
    page.wait_for_timeout(900)
    assert page.locator(".sum").inner_text().endswith("for second")


@pytest.mark.parametrize(
    ("status", "error"),
    [(504, "The search took too long"), (429, "Too many at once"), (400, "The folder is not of this archive")],
)
def test_a_refusal_is_told_with_a_way_on(visit, site, status, error):
    site.moods["/api/search"] = (status, {"error": error, "fix": "Narrow it."})
    page = visit().open()
    page.locator("#words").fill("boat")
    page.keyboard.press("Enter")
    alert = page.get_by_role("alert").filter(has_text=error)
    alert.wait_for()
    assert "Narrow it." in alert.inner_text()
    site.moods.clear()
    alert.get_by_role("button", name="Try again").click()
    page.locator("#hits > li").first.wait_for()
    assert page.locator("#problem").is_hidden()


@pytest.mark.parametrize(("status", "error"), [(413, "The picture has too many pixels"), (415, "That is no picture")])
def test_a_refused_upload_is_told(visit, site, status, error):
    site.moods["/api/uploads"] = (status, {"error": error, "fix": "Take another."})
    page = visit().search("boat")
    page.locator("#file").set_input_files({"name": "hens.jpg", "mimeType": "image/jpeg", "buffer": jpeg(2, 100)})
    alert = page.get_by_role("alert").filter(has_text=error)
    alert.wait_for()
    assert (".flac" in alert.inner_text()) == (status == 415)
    assert page.locator("#chips li").count() == 0
    assert page.locator("#hits > li").count() == 20  # what was there stays


def test_a_file_too_large_is_not_even_sent(visit, site):
    page = visit().open()
    page.get_by_text("Village tapes").wait_for()
    page.locator("#file").set_input_files({"name": "hours.wav", "mimeType": "audio/wav", "buffer": bytes(200_001)})
    page.get_by_role("alert").filter(has_text="hours.wav is too large").wait_for()
    assert not any(path == "/api/uploads" for path, _ in site.asked)


def test_an_upload_that_is_gone_is_asked_for_again(visit, site):
    site.moods["/api/search"] = (404, {"error": "The upload has been forgotten", "fix": "", "upload": "u7"})
    page = visit().open("?q=boat&and=%40upload:u7:picture:hens.jpg")
    alert = page.get_by_role("alert").filter(has_text="forgotten")
    alert.wait_for()
    assert "Drop the picture" in alert.inner_text()
    site.moods.clear()
    alert.get_by_role("button", name="Search without it").click()
    page.locator("#hits > li").first.wait_for()
    assert page.locator("#chips li").count() == 0
    assert site.last("/api/search")["all"] == [{"text": "boat"}]


def test_a_service_that_is_gone_is_waited_for(visit, site):
    one = visit()
    page = one.search("boat")
    site.gone = True
    page.locator("#words").fill("lake")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="The service does not answer").wait_for()
    site.gone = False
    until(page, "document.querySelector('.sum')?.textContent.endsWith('for lake')")


def test_a_recording_that_is_gone_is_told_where_one_looks(visit, site):
    page = visit().search("boat")
    site.moods["/media/14/excerpt"] = (410, {"error": "tape-14.wav is gone", "fix": "Index the folder again."})
    page.locator("#hits > li").nth(14).locator(".play").click()
    page.get_by_role("alert").filter(has_text="tape-14.wav is gone").wait_for()
    box = page.locator("#problem").bounding_box()
    assert 0 <= box["y"] <= 860 - box["height"]  # in sight, though the page is scrolled down
    assert page.evaluate("scrollY") > 300
    site.moods.clear()
    page.locator("#hits > li").nth(14).locator(".play").click()
    until(page, "window.__sounds.some((a) => a.currentTime > 0)")


def test_another_file_can_be_chosen_after_a_refused_one(visit, site):
    site.moods["/api/uploads"] = (415, {"error": "That is no picture", "fix": "Take another."})
    page = visit().search("boat")
    page.locator("#file").set_input_files({"name": "hens.jpg", "mimeType": "image/jpeg", "buffer": jpeg(2, 100)})
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose another").click()
    site.moods.clear()
    chooser.value.set_files({"name": "cows.jpg", "mimeType": "image/jpeg", "buffer": jpeg(3, 100)})
    page.locator("#chips .what", has_text="cows.jpg").wait_for()
    assert page.locator("#problem").is_hidden()


def test_nothing_found_names_ways_on(visit, site):
    page = visit().open("?q=nothing&not=rain&by.speaker=Ana")
    page.get_by_role("heading", name="No moments found").wait_for()
    page.get_by_role("button", name="Search without the filters").click()
    until(page, "!location.search.includes('speaker')")
    page.get_by_role("button", name="Look for pictures").click()
    page.get_by_role("heading", name="No pictures found").wait_for()
    assert site.last("/api/search")["where"] == {}


def test_only_what_is_left_out_is_no_search(visit, site):
    page = visit().open("?not=boat")
    page.get_by_role("alert").filter(has_text="something to look for").wait_for()
    assert not any(path == "/api/search" for path, _ in site.asked)


def test_a_token_is_asked_for(visit, site):
    site.token = "open sesame"
    one = visit()
    page = one.page
    page.goto(one.url + "?q=boat")
    page.get_by_label("Token", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_text("That is not its token.").wait_for()
    page.get_by_label("Token", exact=True).fill("open sesame")
    page.keyboard.press("Enter")
    page.locator("#hits > li").first.wait_for()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_serious_for_whoever_cannot_see_it(visit, findings, width, dark):
    one = visit(width=width, dark=dark)
    page = one.open()
    page.locator(".thumbs").wait_for()
    found = {"empty": findings(page)}
    whole = (width, dark) in ((1280, False), (360, True))  # the others differ in colours or width alone
    for kind in ("moments", "pictures", "texts") if whole else ("moments",):
        page.goto(f"{one.url}?q=boat&not=rain&kind={kind}")
        page.locator("#hits .tick input").first.check()
        if width < 900 and kind == "moments":
            page.get_by_role("button", name="Filters").click()
            page.get_by_role("checkbox", name="Ana").wait_for()
        found[kind] = findings(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(f"{one.url}?view=map")
    page.get_by_text("The map as a list").click()
    found["map"] = findings(page)
    page.get_by_role("button", name="Keys and help").click()
    found["help"] = findings(page)
    assert {where: what for where, what in found.items() if what} == {}


def test_the_theme_is_chosen_and_remembered(visit):
    one = visit()
    page = one.open()
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.get_by_role("button", name="Light or dark").click()
    dark = page.evaluate(colour)
    assert dark != light
    page.reload()
    assert page.evaluate(colour) == dark
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(colour) == light
