"""The demo end to end with a handful of scenes: its figures, its page, and that it goes on where it was."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser

import pytest
import soundfile as sf
import torch
from PIL import Image
from safetensors.torch import load_file

from lookhear.demo import charts, clock, moments, numbers, run_demo, steps, towers
from lookhear.demo.cards import _heard
from lookhear.demo.results import figures
from lookhear.errors import UserError
from lookhear.models.ensemble import EnsembleTeacher
from lookhear.models.speech import LocalTower, SeedTower
from lookhear.models.teacher import EmbeddedTeacher
from lookhear.recipe import Optimisation, Recipe
from lookhear.tasks import Localisation, Retrieval, Spotting

pytest.importorskip("espeakng_loader", reason="the 'speech' extra is not installed")

EVALUATE = (
    Retrieval(by="voice_seen"),
    Spotting(name="spoken", list_name="spoken"),
    Spotting(name="synonym", list_name="synonym"),
    Spotting(name="unseen", list_name="unseen"),
    Localisation(list_name="spoken"),
)
OURS = Recipe(
    name="ours",
    threads=1,
    evaluate=EVALUATE,
    teacher=EmbeddedTeacher(width=8, size=32, dim=32),
    speech=LocalTower.Config(width=16, dilations=(1,)),
    training=Optimisation(epochs=7),
)
OLDER = Recipe(name="older", threads=1, speech=SeedTower.Config(width=16, layers=1), training=Optimisation(epochs=3))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "demo-out"
    return out, run_demo(out, seed=3, quick=True, recipes=(OURS, OLDER), progress=False)


class Addresses(HTMLParser):
    """Everything that a page asks for, and the seconds that each clip claims."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.clips: list[float] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, v) for k, v in attrs if k in ("src", "href", "srcset", "data", "poster")]
        self.clips += [float(v) for k, v in attrs if k == "data-seconds"]


def read_uri(uri: str) -> tuple[str, bytes]:
    kind, data = re.fullmatch(r"data:([a-z]+/[a-z]+);base64,(.+)", uri).groups()
    return kind, base64.b64decode(data, validate=True)


FIGURES = {"retrieval", "spotting", "localisation", "voices"}
DIRECTIONS = {f"{a}_to_{b}" for a in ("audio", "image", "text") for b in ("audio", "image", "text") if a != b}


def test_results_have_exactly_the_promised_keys_and_fractions(demo):
    out, results = demo
    assert json.loads((out / "results.json").read_text()) == results
    spent = {"seconds", "step_seconds", "peak_memory_gb", "peak_resident_gb"}
    assert set(results) == FIGURES | spent | {"seed_tower", "seed"}
    assert set(results["seed_tower"]) == FIGURES
    assert results["seed"] == 3
    assert set(results["seconds"]) == {"data", "teacher", "speech", "evaluation", "total"}
    assert all(v > 0 for v in results["seconds"].values())
    assert results["seconds"]["total"] >= sum(v for k, v in results["seconds"].items() if k != "total") - 0.1
    assert set(results["step_seconds"]) == {"ours", "seed_tower"}
    assert all(0 < v < results["seconds"]["speech"] for v in results["step_seconds"].values())
    assert 0.1 < results["peak_memory_gb"] < 50
    assert 0.1 < results["peak_resident_gb"] < 50
    for tree in (results, results["seed_tower"]):
        assert set(tree["retrieval"]) == DIRECTIONS
        for name, d in tree["retrieval"].items():
            assert set(d) == {"R@1", "R@5", "R@10", "chance_R@10", "size"}
            assert 0 <= d["R@1"] <= d["R@5"] <= d["R@10"] <= 1
            pictures = steps.QUICK_SCENES["test"]
            assert d["size"] == (pictures if name.endswith("image") else 2 * pictures)
            assert 10 / d["size"] <= d["chance_R@10"] + 1e-9 < 1
        assert set(tree["spotting"]) == {"spoken", "synonym", "unseen"}
        for d in tree["spotting"].values():
            assert set(d) == {"mAP", "teacher_mAP", "teacher_peak_mAP", "chance", "words"}
            assert all(0 < d[k] <= 1 for k in ("mAP", "teacher_mAP", "teacher_peak_mAP", "chance"))
            assert d["words"] >= 1
        assert set(tree["localisation"]) == {"oracle_accuracy", "chance", "pairs"}
        assert 0 < tree["localisation"]["chance"] < 0.5
        assert tree["localisation"]["pairs"] > steps.QUICK_SCENES["test"]
        assert set(tree["voices"]) == {"seen", "unseen"}
        assert all(set(v) == {"audio_to_image_R@10"} for v in tree["voices"].values())
    # Half of the recordings each: their mean is the whole's.
    halves = [results["voices"][v]["audio_to_image_R@10"] for v in ("seen", "unseen")]
    assert sum(halves) / 2 == pytest.approx(results["retrieval"]["audio_to_image"]["R@10"])


def test_the_teacher_is_shared_and_the_steps_are_equal(demo):
    out, results = demo
    ours, older = (load_file(out / name / "model.safetensors") for name in ("run", "run-seed"))
    names = [k for k in ours if k.startswith("teacher.")]
    assert names
    assert all(torch.equal(ours[k], older[k]) for k in names)
    for direction in ("image_to_text", "text_to_image"):
        assert results["retrieval"][direction] == results["seed_tower"]["retrieval"][direction]
    assert results["spotting"]["spoken"]["mAP"] != results["seed_tower"]["spotting"]["spoken"]["mAP"]
    last = [numbers.read_log(out / name / "speech.log.jsonl")[-1]["step"] for name in ("run", "run-seed")]
    assert last[0] == last[1] > 0


def test_figures_are_those_of_the_evaluation_with_intervals(demo):
    out, results = demo
    found = json.loads((out / "evaluation.json").read_text())
    for tree, model in ((results, "ours"), (results["seed_tower"], "seed_tower")):
        assert tree["spotting"]["synonym"]["mAP"] == found[model]["synonym"]["mAP"]["value"]
        fig = found[model]["retrieval"]["text_to_audio"]["R@10"]
        assert tree["retrieval"]["text_to_audio"]["R@10"] == fig["value"]
        assert fig["low"] <= fig["value"] <= fig["high"]


@pytest.mark.parametrize("sure", [True, False])
def test_a_tower_that_is_sure_of_nothing_has_no_precision(demo, sure):
    out, _ = demo
    found = json.loads((out / "evaluation.json").read_text())["ours"]
    fig = {"value": 0.5, "low": 0.4, "high": 0.6, "chance": 0.1, "size": 9}
    place = {"precision": fig if sure else None, "recall": fig, "F1": fig}
    tree = figures(found | {"detection": {"localisation": place, "spotting": {"P@10": fig}, "words": 3}})["detection"]
    assert tree["precision"] == (0.5 if sure else None)
    assert (tree["recall"], tree["F1"], tree["P@10"], tree["words"]) == (0.5, 0.5, 0.5, 3)


def test_the_page_asks_nobody_for_anything_and_its_media_can_be_read(demo):
    out, results = demo
    page = (out / "report.html").read_text(encoding="utf-8")
    addresses = Addresses(page)
    assert not re.search(r"https?://|@import|url\(", page)
    assert len(addresses.found) > 40
    sounds = []
    for tag, address in addresses.found:
        kind, data = read_uri(address)
        if tag == "audio":
            sounds.append(sf.info(io.BytesIO(data)).duration)
            assert kind in ("audio/mpeg", "audio/flac")
        else:
            assert kind in ("image/jpeg", "image/png")
            Image.open(io.BytesIO(data)).verify()
    assert len(sounds) >= 12
    assert sounds == pytest.approx(addresses.clips, abs=0.15)
    assert f"<b>{100 * results['retrieval']['audio_to_image']['R@5']:.1f}</b>" in page
    assert "“puppy”" in page
    assert "synthetic" in page
    assert "prefers-color-scheme: dark" in page


def test_found_words_are_inside_exactly_when_their_frame_is(demo):
    out, _ = demo
    scenes = json.loads((out / "moments.json").read_text())["scenes"]
    assert len({s["place"] for s in scenes}) == len(scenes) > 2
    for scene in scenes:
        assert len(scene["words"]) >= 2
        for word, w in scene["words"].items():
            assert word in scene["text"].split()
            best = max(range(len(w["curve"])), key=lambda i: w["curve"][i])
            assert w["curve"][int(w["found"] / scene["step"])] == w["curve"][best]
            assert w["inside"] == any(a <= w["found"] <= b for a, b in w["spans"])
            assert all(0 <= a < b <= scene["seconds"] for a, b in w["spans"])


def test_ranks_of_the_best_and_the_worst(demo):
    out, _ = demo
    cases = json.loads((out / "moments.json").read_text())
    assert [c["rank"] for c in cases["best"]] == sorted(c["rank"] for c in cases["best"])
    assert cases["worst"][0]["rank"] >= cases["best"][-1]["rank"]
    for case in cases["best"] + cases["worst"]:
        assert (case["right"] in case["top"]) == (case["rank"] <= 3)
        assert case["id"].startswith(case["right"])


def test_a_finished_demo_answers_at_once_and_a_lost_page_is_made_again_from_what_is_there(demo, monkeypatch):
    out, results = demo

    def never(*args, **kwargs):
        raise AssertionError("nothing may be trained or measured again")

    monkeypatch.setattr(steps, "train_teacher", never)
    monkeypatch.setattr(towers, "train", never)
    monkeypatch.setattr(towers, "Child", never)
    monkeypatch.setattr(steps, "prepare_picturebook", never)
    monkeypatch.setattr(steps, "evaluate", never)
    before = (out / "report.html").read_text()
    assert run_demo(out, seed=3, quick=True, recipes=(OURS, OLDER), progress=False) == results
    (out / "report.html").unlink()
    again = run_demo(out, seed=3, quick=True, recipes=(OURS, OLDER), progress=False)
    assert again["retrieval"] == results["retrieval"]
    assert again["seconds"]["data"] == results["seconds"]["data"]
    assert Addresses((out / "report.html").read_text()).found == Addresses(before).found


def test_a_folder_with_another_demo_is_refused(demo):
    out, _ = demo
    with pytest.raises(UserError, match="holds a demo with seed 3"):
        run_demo(out, seed=4, quick=True, recipes=(OURS, OLDER), progress=False)


def test_recipes_without_the_needed_sections_are_refused(tmp_path):
    with pytest.raises(UserError, match="localisation, spoken"):
        run_demo(tmp_path / "x", recipes=(OURS.model_copy(update={"evaluate": EVALUATE[:1]}), OLDER))
    unsplit = (Retrieval(), *EVALUATE[1:])
    with pytest.raises(UserError, match="voice_seen"):
        run_demo(tmp_path / "x", recipes=(OURS.model_copy(update={"evaluate": unsplit}), OLDER))
    for update in ({"teacher_run": "run"}, {"teacher": EnsembleTeacher(runs=("a", "b"))}):
        with pytest.raises(UserError, match="trains no teacher"):
            run_demo(tmp_path / "x", recipes=(OURS.model_copy(update=update), OLDER))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["run", "run-seed"])
def test_with_one_tower_finished_only_the_other_is_trained(demo, tmp_path, monkeypatch, name):
    plan = steps.Demo.of(tmp_path, 3, True, OURS, OLDER)
    for folder in ("run", "run-seed"):
        shutil.copytree(demo[0] / folder, tmp_path / folder)
    (tmp_path / name / "speech.done").unlink()
    trained = []
    monkeypatch.setattr(towers, "Child", None)
    monkeypatch.setattr(towers, "train", lambda recipe, data, out, progress: trained.append((recipe, out.name)))
    said: list[str] = []
    steps.learn(plan, clock.Clock(tmp_path / "demo.json", {}, 1.0, said.append), False, said.append)
    assert trained == [(plan.ours if name == "run" else plan.seed_tower, name)]
    assert plan.ours.to_toml() == (demo[0] / "run" / "recipe.toml").read_text()
    assert "the other is done" in said[0]


@pytest.fixture
def time_at(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: now[0])
    return now


def test_clock_scales_what_is_left_by_measured_speed_and_survives_a_stop(tmp_path, time_at, monkeypatch):
    monkeypatch.setattr(clock, "STAGES", {"data": 10.0, "teacher": 20.0, "speech": 30.0})
    monkeypatch.setattr(clock, "bf16_pays", lambda: True)
    said: list[str] = []
    c = clock.Clock(tmp_path / "demo.json", {"seed": 0}, 1.0, said.append)
    with c.stage("data", "drawing"):
        assert c.left() == 60  # nothing measured yet
        time_at[0] += 30  # three times slower than expected

    def stopped() -> None:
        with c.stage("teacher", "teaching"):
            assert c.left() == pytest.approx(150)
            time_at[0] += 5
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    c = clock.Clock(tmp_path / "demo.json", {"seed": 0}, 1.0, said.append)
    with c.stage("teacher", "teaching"):
        time_at[0] += 7
    with c.stage("speech", "hearing"):
        time_at[0] += 1
    assert c.seconds == {"data": 30, "teacher": 12, "speech": 1}
    assert c.total() == 43
    assert c.memory > 0.01
    assert c.resident > 0.01
    assert said[0] == "[1/3] drawing … about 60 s left in all"
    assert [line[:6] for line in said] == ["[1/3] ", "[2/3] ", "[2/3] ", "[3/3] "]
    assert "about 2 min" in said[1]
    (tmp_path / "demo.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        clock.Clock(tmp_path / "demo.json", {"seed": 0}, 1.0, said.append)


def test_clock_expects_learning_to_take_longer_without_bf16_and_nothing_else(tmp_path, time_at, monkeypatch):
    monkeypatch.setattr(clock, "STAGES", {"data": 10.0, "teacher": 20.0, "speech": 30.0, "search": 4.0})
    monkeypatch.setattr(clock, "bf16_pays", lambda: False)
    monkeypatch.setattr(clock, "IN_FP32", 3.0)
    c = clock.Clock(tmp_path / "demo.json", {}, 0.5, lambda line: None)
    assert c.left() == pytest.approx(5 + 30 + 45 + 2)
    with c.stage("data", "drawing"):
        time_at[0] += 10  # twice slower than expected
    with c.stage("teacher", "teaching"):
        assert c.left() == pytest.approx(2 * (30 + 45 + 2))


def test_logs_of_a_resumed_run_keep_the_later_line_of_each_step(tmp_path):
    rows = [
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": 2.0},
        {"step": 2, "validation": {"spoken": 0.5}},
        {"step": 2, "loss": 1.5},
        {"step": 3, "loss": 1.0},
    ]
    (tmp_path / "log").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert numbers.read_log(tmp_path / "log") == [rows[0], rows[3], rows[2], rows[4]]
    assert numbers.read_log(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.25, 0.5, 0.75, 1]), (0, 5.1, [0, 1, 2, 3, 4, 5]), (0, 2600, [0, 500, 1000, 1500, 2000, 2500])],
)
def test_ticks_are_round_and_inside(low, high, ticks):
    assert charts._ticks(low, high) == pytest.approx(ticks)


def test_curve_peaks_at_its_highest_frame_and_never_leaves_the_box():
    path = charts.curve_path([-1.0, 0.0, 2.0, 1.0], 100, 50)
    points = [tuple(map(float, p.split())) for p in path[1:].split(" L")]
    assert points == [(12.5, 50), (37.5, 50), (62.5, 4), (87.5, 27)]


def test_marked_words_are_those_said_at_the_moment():
    words = [
        {"word": w, "start": i / 2, "end": i / 2 + 0.5} for i, w in enumerate(("a", "small", "dog", "<runs>", "by"))
    ]
    assert _heard(words, 1.0, 1.5) == "a small <mark>dog</mark> &lt;runs&gt; by"
    assert _heard(words, 0.6, 1.9) == "a <mark>small dog &lt;runs&gt;</mark> by"
    assert _heard(words, 1.1, 1.2) == "a small <mark>dog</mark> &lt;runs&gt; by"


def test_random_scenes_depend_on_the_seed_only(demo):
    from lookhear.data.store import read_store

    corpus = read_store(demo[0] / "picturebook").select("test")
    words = corpus.meta["words"]["spoken"]
    first = moments._one_a_place(corpus, words, 8, seed=0)
    assert first == moments._one_a_place(corpus, words, 8, seed=0)
    seen = corpus.column("voice_seen")
    assert not any(seen[r] for r in first)


def test_words_are_escaped_wherever_they_are_written():
    bars = charts.word_bars([("<b>&", 0.5, None, None)])
    assert "<b>&" not in bars
    assert "&lt;b&gt;&amp;" in bars
