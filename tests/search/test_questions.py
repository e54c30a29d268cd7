"""Several things asked at once, moments asked for more like them, filters, pages, and what answers show."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lookhear.audio import load_audio
from lookhear.core import Hit
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.search import combine
from lookhear.search.details import Details, read_details
from lookhear.search.index import Where
from lookhear.search.rescore import Usual, readings, sureness
from lookhear.search.searcher import Searcher
from lookhear.search.update import index_files


@pytest.fixture(scope="module")
def searcher(tiny_index, tiny_model):
    return Searcher(tiny_index, tiny_model)


@pytest.fixture(scope="module")
def sure(tiny_index, tiny_run):
    """The same index, asked with a calibrated model."""
    return Searcher(tiny_index, Model.load(tiny_run))


@pytest.fixture(scope="module")
def told(tiny_run, tiny_model, tiny_folder, tmp_path_factory):
    """The tiny files, half of them of one speaker, with years, and a text of three lines."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "notes.txt").write_text("a red boat\nthe moon\nover there\n")
    rows = [
        f"{f},{'Ana' if i % 2 else 'Jon'},{1950 + i}-06-01" for i, f in enumerate(sorted(tiny_folder.glob("*.flac")))
    ]
    (folder / "about.csv").write_text("\n".join(["file,speaker,date", *rows]))
    index_files(tiny_run, [tiny_folder, folder], folder / "i", details=read_details(folder / "about.csv"))
    return Searcher(folder / "i", tiny_model)


def test_several_things_are_averaged_in_deviations_above_what_they_usually_score(searcher, tiny_folder):
    picture = min((tiny_folder / "pictures").glob("*.png"))
    parts = [searcher.part(text="red"), searcher.part(picture=picture)]
    found = searcher.index.sample(100, 0, Where(modality="audio"))
    expected = 0
    for part in parts:
        raw = readings(searcher.index, searcher.model, found, part).numpy()
        middle = np.sort(raw)[(len(raw) - 1) // 2]  # torch's median: the lower of the two in the middle
        spread = 1.4826 * np.sort(np.abs(raw - middle))[(len(raw) - 1) // 2]
        expected = expected + (raw - middle) / spread / 2
    scores = dict(zip((f.file for f in found), expected.tolist()))
    hits = searcher.search(["red", picture], 100)
    assert [h.file for h in hits] == sorted(scores, key=lambda f: -scores[f])
    assert [h.score for h in hits] == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-3)


def test_order_of_parts_changes_nothing_and_one_part_is_itself(searcher):
    one, other = (searcher.search(q, 100) for q in (["red", "boat"], ["boat", "red"]))
    assert {h.file: round(h.score, 4) for h in one} == {h.file: round(h.score, 4) for h in other}
    assert [h.score for h in searcher.search(["red"], 100)] == [h.score for h in searcher.search("red", 100)]


def test_usual_scores_are_medians_whatever_a_few_rows_score():
    usual = Usual(torch.tensor([0.0, 1.0, 2.0, 3.0, 1000.0]))
    assert usual(torch.tensor([2.0, 2 + 1.4826])).tolist() == pytest.approx([0, 1], abs=1e-4)


def test_what_is_not_meant_is_left_out(searcher, sure, monkeypatch):
    every = {h.file for h in searcher.search("dog", 100)}
    part, peaks = sure.part(text="boat"), {}
    for file in every:
        heard = sure.model.embed_audio([load_audio(file)])
        peaks[file] = float(sure.model.compatibility.peak(heard, part.words))
    middle = float(np.median(list(peaks.values())))  # half of them say it, as far as this calibration knows
    line = (torch.tensor([50.0]), torch.tensor([-50 * middle]))
    monkeypatch.setattr(type(sure.model.calibration), "line", lambda *_: line)
    assert float(sureness(sure.model, part, torch.tensor([[middle]]))[0]) == pytest.approx(0.5, abs=1e-3)
    kept = {h.file for h in sure.search("dog", 100, without="boat")}
    assert kept == {f for f in every if peaks[f] < middle}
    assert len(kept) == len(every) / 2
    # What no calibration knows, such as a picture, is there from so many deviations on.
    monkeypatch.setattr(combine, "UNUSUAL", -1e9)
    assert searcher.search("dog", 100, without=[Image.new("RGB", (32, 32))]) == []
    monkeypatch.setattr(combine, "UNUSUAL", 1e9)
    assert {h.file for h in searcher.search("dog", 100, without=[Image.new("RGB", (32, 32))])} == every


def test_more_like_a_moment_is_looked_for_like_a_word(searcher):
    hit = searcher.search("dog", 5)[3]
    model, heard = searcher.model, searcher.model.embed_audio([load_audio(hit.file)])
    first, last = int(hit.start / model.step), max(1, round(hit.end / model.step))
    direction = heard.local[0, first:last].sum(0, keepdim=True)
    direction = direction / direction.norm()
    for found in searcher.search(hit, 100):
        own = model.embed_audio([load_audio(found.file)])
        assert found.score == pytest.approx(float(model.compatibility.peak(own, direction)), abs=5e-3)
    picture = searcher.search("dog", 3, "pictures")[2]
    assert searcher.search(picture, 1, "pictures")[0].file == picture.file
    again = searcher.answer(hit.source.id, hit.start, hit.end)
    assert [h.score for h in searcher.search(again, 9)] == [h.score for h in searcher.search(hit, 9)]
    with pytest.raises(UserError, match="not a hit of this index"):
        searcher.search(Hit("a.wav", "q", 0, 1, 0.5))
    with pytest.raises(UserError, match="no moment"):
        searcher.answer(hit.source.id, 5.0, 1e6)
    with pytest.raises(UserError, match="no file"):
        searcher.answer(10**9, 0, 1)


def test_pages_follow_each_other(searcher):
    every = searcher.search("boat", 100)
    assert not every.more
    pages = [searcher.search("boat", 3, offset=o) for o in (0, 3, 6)]
    assert [h.file for page in pages for h in page] == [h.file for h in every]
    assert [p.more for p in pages] == [True, True, False]
    assert searcher.search("boat", 3, offset=50) == []


def test_a_recording_is_listed_once_with_its_best_moment(tiny_run, tiny_model, sound, tmp_path):
    index_files(tiny_run, [sound("long.flac", 40.0)], tmp_path / "i")
    own = Searcher(tmp_path / "i", tiny_model)
    (once,) = own.search("boat", 10, "recordings")
    best = max(own.search("boat", 100), key=lambda h: h.score)
    assert (once.start, once.end, once.score) == (best.start, best.end, best.score)


def test_six_directions(told, tiny_folder):
    recording, picture = min(tiny_folder.glob("*.flac")), min((tiny_folder / "pictures").glob("*.png"))
    for query in ("dog", recording, picture):
        for kind, modality in (("moments", "audio"), ("pictures", "image"), ("texts", "text")):
            hits = told.search(query, 3, kind)
            assert hits
            assert {h.modality for h in hits} == {modality}
    lines = told.search("a red boat", 5, "texts")
    assert (lines[0].text, lines[0].score) == ("a red boat", pytest.approx(1, abs=1e-3))
    assert len(lines) == 3  # lines of one text are apart


def test_filters(told, tiny_folder):
    files = sorted(map(str, tiny_folder.glob("*.flac")))
    asked = [
        (Where(details={"speaker": ("Ana",)}), files[1::2]),
        (Where(details={"speaker": ("Ana", "Jon")}, since="1952", until="1954-06"), files[2:5]),
        (Where(until="1950-06-01"), files[:1]),
        (Where(folder=str(tiny_folder)), files),
        (Where(folder=str(tiny_folder / "nowhere")), []),
        (Where(details={"colour": ("red",)}), []),
    ]
    for where, expected in asked:
        hits = told.search("dog", 100, where=where)
        assert sorted(h.file for h in hits) == expected
    assert told.search("dog", 1, where=asked[0][0])[0].source.details["speaker"] == "Ana"
    for bad in (Where(since="last year"), Where(since="1960", until="1950")):
        with pytest.raises(UserError, match="date"):
            told.search("dog", where=bad)


def test_probabilities_are_those_of_spotting(searcher, sure):
    tiny_model = sure.model
    for hit in sure.search("dog", 4):
        heard = tiny_model.embed_audio([load_audio(hit.file)])
        part = searcher.part(text="dog")
        slope, intercept = tiny_model.calibration.line(part.words, part.names)
        odds = float(tiny_model.compatibility.peak(heard, part.words)[0, 0] * slope[0] + intercept[0])
        assert hit.probability == pytest.approx(1 / (1 + np.exp(-odds)), abs=5e-3)
    assert sure.search(hit, 1)[0].probability is None  # of what is not written nothing is known
    assert searcher.search("dog", 1)[0].probability is None


def test_what_cannot_be_asked(searcher):
    dog = searcher.part(text="dog")
    for bad in ({"all": []}, {"all": [dog], "k": 0}, {"all": [dog], "offset": 10**6}):
        with pytest.raises(UserError):
            searcher.find(**bad)
    with pytest.raises(UserError, match="nothing is asked"):
        searcher.part()


def test_many_texts_at_once_are_each_alone(searcher):
    texts = ["dog", "a red boat", "over there", "boat"]
    for part, text in zip(searcher.parts(texts), texts, strict=True):
        alone = searcher.part(text=text)
        torch.testing.assert_close(part.whole, alone.whole)
        torch.testing.assert_close(part.words, alone.words)


def test_notebooks_show_players_pictures_and_no_foreign_html(told, tmp_path):
    shown = told.search("dog", 3)._repr_html_()
    assert shown.count("<audio") == 3
    assert "data:audio" in shown
    assert told.search("dog", 2, "pictures")._repr_html_().count("<img") == 2
    assert "the moon" in told.search("moon", 3, "texts")._repr_html_()
    (hit,) = told.search("dog", 1)
    from dataclasses import replace

    from lookhear.search.notebook import as_html

    gone = replace(hit, file="<script>alert(1)</script>.wav")
    assert "<script>" not in as_html([gone])
    assert "no such recording" in as_html([gone])


def test_details_of_files_and_of_their_folders(tmp_path):
    (tmp_path / "t.tsv").write_text("file\tspeaker\tdate\nsub\tAna\t1950\nsub/b.wav\tJon\t\n", encoding="utf-8")
    details = read_details(tmp_path / "t.tsv")
    assert details.of(str(tmp_path / "sub" / "a.wav")) == {"speaker": "Ana", "date": "1950"}
    assert details.of(str(tmp_path / "sub" / "b.wav")) == {"speaker": "Jon", "date": "1950"}
    assert details.of(str(tmp_path / "other.wav")) == Details().of("x") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [("name,x\na,b\n", "no column of files"), ("file,date\na.wav,May\n", "date"), ("file\na\na\n", "a second time")],
)
def test_tables_of_details_that_cannot_be_read(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        read_details(tmp_path / "t.csv")
    with pytest.raises(UserError, match="cannot be read"):
        read_details(tmp_path / "no.csv")


# The command line --------------------------------------------------------------------------------------------------


def test_the_command_line_asks_for_all_of_it(lookhear, told, tiny_folder):
    index, file = told.index.path, min(tiny_folder.glob("*.flac"))
    lines = lookhear("search", index, "dog", "-k", 3, "--jsonl").out.splitlines()
    hits = [json.loads(line) for line in lines]
    assert [h["file"] for h in hits] == [h.file for h in told.search("dog", 3)]
    second = json.loads(lookhear("search", index, "dog", "-k", 2, "--page", 2, "--json").out)
    assert second[0]["file"] == hits[2]["file"]
    like = json.loads(lookhear("search", index, "--like", f"{file}@0.2-0.6", "-k", 1, "--json").out)
    source = next(s for s in told.index.sources() if s.path == str(file))
    assert like[0]["file"] == told.search(told.answer(source.id, 0.2, 0.6), 1)[0].file
    some = lookhear(
        "search", index, "dog", "--where", "speaker=Ana", "--since", 1952, "--kind", "recordings", "--jsonl"
    ).out
    assert {json.loads(line)["details"]["speaker"] for line in some.splitlines()} == {"Ana"}
    assert "more: --page 2" in lookhear("search", index, "dog", "-k", 2).err
    assert lookhear("search", index, "dog", "--not", "boat").code == 0
    assert "in seconds" in lookhear("search", index, "--like", f"{file}@one-two").complaint
    assert "not in the index" in lookhear("search", index, "--like", "nowhere.wav").complaint


def test_vectors_of_files_as_numpy(lookhear, tiny_run, tiny_model, sound, tmp_path):
    short, long = sound("in/a.flac", 2.0), sound("in/b.flac", 9.0, seed=1)
    answer = lookhear("embed", tiny_run, tmp_path / "in", "-o", tmp_path / "v.npz", "--local")
    assert (answer.code, Path(answer.out.strip())) == (0, tmp_path / "v.npz")
    with np.load(tmp_path / "v.npz") as found:
        rows = sorted(zip(found["path"].tolist(), found["start"].tolist()))
        assert rows == [(str(short), 0.0), *((str(long), 2.0 * n) for n in range(4))]
        own = found["path"] == str(short)
        np.testing.assert_allclose(found["vectors"][own], tiny_model.embed_audio([load_audio(short)]).pooled, atol=1e-5)
        assert found["frames"].sum() == len(found["local"])
    assert "--overwrite" in lookhear("embed", tiny_run, tmp_path / "in", "-o", tmp_path / "v.npz").complaint
    assert ".npz" in lookhear("embed", tiny_run, tmp_path / "in", "-o", tmp_path / "v.csv").complaint
