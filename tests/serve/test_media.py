"""Files of the index: whole, in ranges, as excerpts, drawings and small pictures; and none that it does not list."""

from __future__ import annotations

import io
import itertools
import os
import shutil

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from serve_checks import refused

from lookhear.audio import load_excerpt
from lookhear.serve.media import peaks
from lookhear.serve.media_routes import single_range
from lookhear.serve.refusals import Refusal


def test_a_file_whole_and_in_ranges(client, archive, number) -> None:
    content = (archive.folder / "tape.wav").read_bytes()
    at = f"/media/{number['tape.wav']}"
    whole = client.get(at)
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["accept-ranges"] == "bytes"
    head = client.head(at)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(content)
    for asked, a, b in (("0-99", 0, 100), ("1000-", 1000, len(content)), ("-7", len(content) - 7, len(content))):
        part = client.get(at, headers={"range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, content[a:b])
        assert part.headers["content-range"] == f"bytes {a}-{b - 1}/{len(content)}"
    beyond = client.get(at, headers={"range": f"bytes={len(content)}-"})
    refused(beyond, 416)
    assert beyond.headers["content-range"] == f"bytes */{len(content)}"
    # A file that changed since its first part was read comes whole.
    other = client.get(at, headers={"range": "bytes=0-9", "if-range": '"another"'})
    assert (other.status_code, len(other.content)) == (200, len(content))


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes=", "bytes=-", "x"])
def test_ranges_that_mean_nothing_are_ignored(client, number, asked) -> None:
    assert client.get(f"/media/{number['notes.txt']}", headers={"range": asked}).status_code == 200


@given(st.integers(0, 50), st.integers(0, 60) | st.none(), st.integers(0, 40))
def test_a_range_is_taken_or_refused(first, last, size) -> None:
    text = f"bytes={first}-{'' if last is None else last}"
    if last is not None and last < first:
        assert not single_range(text, size)
    elif first >= size:
        with pytest.raises(Refusal):
            single_range(text, size)
    else:
        assert single_range(text, size)


def test_texts_and_pictures_have_their_types(client, archive, number) -> None:
    text = client.get(f"/media/{number['notes.txt']}")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text.startswith("a red boat")
    name = next(n for n in number if n.endswith(".png"))
    assert client.get(f"/media/{number[name]}").headers["content-type"] == "image/png"


def test_an_excerpt_is_what_the_model_hears(client, archive, number) -> None:
    answer = client.get(f"/media/{number['tape.wav']}/excerpt", params={"start": 3.0, "end": 4.5})
    assert answer.headers["content-type"] == "audio/wav"
    samples, rate = sf.read(io.BytesIO(answer.content), dtype="float32")
    wanted = load_excerpt(archive.folder / "tape.wav", 3.0, 4.5)
    assert (rate, samples.shape) == (16_000, wanted.shape)
    np.testing.assert_allclose(samples, wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("start", "end", "status"), [(2, 1, 422), (1, 1, 422), (0, 61, 422), (30, 31, 422), (-1, 1, 422), ("nan", 1, 422)]
)
def test_excerpts_that_are_none(client, number, start, end, status) -> None:
    refused(client.get(f"/media/{number['tape.wav']}/excerpt", params={"start": start, "end": end}), status)


@pytest.mark.parametrize(("start", "end", "bins"), [(0, 100, 7), (0, 25, 800), (3.21, 17.9, 33), (24.99, 26, 4000)])
def test_peaks_are_those_of_the_samples(client, archive, number, start, end, bins) -> None:
    drawn = client.get(f"/media/{number['tape.wav']}/peaks", params={"start": start, "end": end, "bins": bins}).json()
    wave = sf.read(archive.folder / "tape.wav", dtype="float32")[0].mean(1)
    first, last = round(start * 44_100), min(round(end * 44_100), len(wave))
    count = min(bins, last - first)
    cuts = [first + i * (last - first) // count for i in range(count + 1)]
    parts = [wave[a:b] for a, b in itertools.pairwise(cuts)]
    np.testing.assert_allclose(drawn["low"], [p.min() for p in parts], atol=1e-4)
    np.testing.assert_allclose(drawn["high"], [p.max() for p in parts], atol=1e-4)
    assert drawn["start"] == pytest.approx(first / 44_100)
    assert drawn["end"] == pytest.approx(last / 44_100)


def test_peaks_that_nobody_waits_for_are_given_up(archive) -> None:
    with pytest.raises(Refusal, match="too long") as error:
        peaks(archive.folder / "tape.wav", 0, 25, 100, wanted=lambda: False)
    assert error.value.status == 504


def test_a_thumbnail_is_no_larger_than_asked(client, archive, number) -> None:
    name = next(n for n in number if n.endswith(".png"))
    answer = client.get(f"/media/{number[name]}/thumbnail", params={"size": 20})
    picture = Image.open(io.BytesIO(answer.content))
    assert answer.headers["content-type"] == "image/jpeg"
    assert (picture.format, max(picture.size)) == ("JPEG", 20)
    refused(client.get(f"/media/{number[name]}/thumbnail", params={"size": 5000}), 422)
    refused(client.get(f"/media/{number['tape.wav']}/thumbnail"), 404)
    refused(client.get(f"/media/{number[name]}/peaks", params={"start": 0, "end": 1}), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/media/../details.csv", "/media/..%2f..%2fetc%2fpasswd", "/media/%2e%2e/%2e%2e/etc/passwd",
        "/media/%252e%252e%252fetc%252fpasswd", "/media//etc/passwd", "/media/0/../../index/index.json",
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e%2fapp.py", "/static/%252e%252e%252fapp.py",
        "/static//etc/passwd", "/static/..%5capp.py", "/media/%00", "/static/%00",
    ],
)  # fmt: skip
def test_paths_lead_nowhere(client, path) -> None:
    # Sent as it is: the client would take the dots out.
    answer = client.send(client.build_request("GET", client.base_url.copy_with(raw_path=path.encode())))
    assert answer.status_code in (404, 405, 422)
    refused(answer, answer.status_code)


def test_numbers_that_are_none(client) -> None:
    for wrong, status in (("999999", 404), ("-1", 422), ("1e3", 422), ("9" * 400, 422), ("null", 422), ("0.5", 422)):
        refused(client.get(f"/media/{wrong}"), status)


def test_links_inside_the_archive_are_followed_and_others_are_not(client, archive, number) -> None:
    inside = client.get(f"/media/{number['link-in.flac']}")
    assert inside.content == archive.recordings[2].read_bytes()
    for ending in ("", "/excerpt?start=0&end=0.1", "/peaks?start=0&end=0.1"):
        why = refused(client.get(f"/media/{number['link-out.wav']}{ending}"), 404)
        assert "leads out of the archive" in why


def test_links_into_named_folders_are_followed(client_of, archive, number) -> None:
    client = client_of(linked=[archive.outside])
    answer = client.get(f"/media/{number['link-out.wav']}")
    assert answer.content == (archive.outside / "secret.wav").read_bytes()


@pytest.fixture
def changing(archive, client_of, tmp_path, tiny_run):
    """A client of an index of one folder that tests may change; the folder; name → number."""
    from lookhear.search.update import index_files

    folder = tmp_path / "tapes"
    folder.mkdir()
    for path in archive.recordings[:3]:
        shutil.copy(path, folder / path.name)
    index = index_files(tiny_run, [folder], tmp_path / "index")
    numbers = [next(s.id for s in index.sources() if s.path.endswith(p.name)) for p in archive.recordings[:3]]
    index.close()
    return client_of(index=tmp_path / "index"), [folder / p.name for p in archive.recordings[:3]], numbers


def test_a_file_that_changed_or_went_is_told(changing) -> None:
    client, (first, second, third), numbers = changing
    content = first.read_bytes()
    os.utime(first, (1, 1))  # the same content, as after a backup was put back
    assert client.get(f"/media/{numbers[0]}").content == content
    first.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "has changed" in refused(client.get(f"/media/{numbers[0]}"), 409)
    second.write_bytes(second.read_bytes() + b"more")
    assert "has changed" in refused(client.get(f"/media/{numbers[1]}/excerpt?start=0&end=0.1"), 409)
    third.unlink()
    assert "cannot be read any more" in refused(client.get(f"/media/{numbers[2]}"), 410)
    third.symlink_to(third)
    refused(client.get(f"/media/{numbers[2]}"), 410)
    third.unlink()
    third.symlink_to("/etc/hostname")
    assert "leads out" in refused(client.get(f"/media/{numbers[2]}"), 404)
    third.unlink()
    third.mkdir()
    refused(client.get(f"/media/{numbers[2]}"), 404)
    third.rmdir()
    os.mkfifo(third)
    refused(client.get(f"/media/{numbers[2]}"), 404)
