"""The command line: what it prints where, in what shape, with what exit code."""

import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from lookhear.data.read import open_corpus
from lookhear.models.calibration import Calibration

FLAGS = {
    "demo": {"out", "seed", "quick"},
    "prepare": {"source", "out", "layout", "options", "paths", "workers", "strict", "seed", "scenes", "size"},
    "inspect": {"corpus", "html", "as_json"},
    "export": {"source", "layout", "out", "onnx", "towers", "card", "corpus", "results", "licence", "vectors", "run"},
    "push": {"run", "name", "private", "token"},
    "pull": {"name", "out", "token"},
    "subset": {"corpus", "out", "wanted", "having", "groups", "seed"},
    "merge": {"corpora", "out"},
    "split": {"corpus", "out", "by", "shares", "seed"},
    "convert": {"source", "out"},
    "train": {"recipe", "data", "out", "changes", "threads", "seed"},
    "evaluate": {"run", "on", "split", "data", "columns", "like", "json_file"},
    "calibrate": {"run", "data", "on", "split", "truth", "words", "columns"},
    "index": {"run", "folders", "out", "details"},
    "embed": {"run", "folders", "out", "local", "overwrite"},
    "search": {
        *("index", "query", "pictures", "recordings", "like", "unwanted", "k", "page", "kind"),
        *("where", "folder", "since", "until", "run", "jsonl", "as_json"),
    },
    "spot": {
        *(
            "run",
            "files",
            "words",
            "word_list",
            "examples",
            "pictures",
            "unwanted",
            "threshold",
            "templates",
            "as_json",
        ),
        *("outs", "kind", "overwrite", "players"),
    },
    "recipes": {"name", "schema"},
    "serve": {"index", "host", "port", "token", "names", "opened", "run", "linked", "threads", "batch", "log"},
    "compare": {"recipes", "data", "seeds", "out", "changes", "html", "as_json"},
    "tune": {
        *("recipe", "data", "out", "trials", "workers", "searches", "space", "metric", "prune", "changes"),
    },
    "methods": {"name", "as_json"},
}


def test_verbs_and_their_options_stay():
    from lookhear.cli import cli

    assert {n: {p.name for p in c.params} for n, c in cli.commands.items()} == FLAGS


def test_importing_the_package_is_light_and_its_names_are_there():
    code = "import lookhear, sys; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules); print(lookhear.__all__)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    import lookhear

    for name in lookhear.__all__:
        assert getattr(lookhear, name) is not None
    with pytest.raises(AttributeError):
        _ = lookhear.nothing
    assert (Path(lookhear.__file__).parent / "py.typed").is_file()


def test_version_and_help_go_to_stdout(lookhear):
    import importlib.metadata

    answer = lookhear("--version")
    assert answer.out == f"lookhear {importlib.metadata.version('lookhear')}\n"
    answer = lookhear("--help")
    assert (answer.code, answer.err) == (0, "")
    assert all(verb in answer.out for verb in FLAGS)


def test_no_arguments_show_the_help(lookhear):
    answer = lookhear()
    assert answer.code == 2
    assert "Usage" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serach"], "did you mean 'search'?"),
        (["search"], "INDEX"),
        (["search", "i", "q", "-k", "0"], "-k"),
        (["train", "x", "--out", "o", "--nonsense"], "--nonsense"),
        (["search", "i"], "nothing is asked"),
        (["search", "i", "dog", "--where", "speaker"], "ours=theirs"),
        (["spot", "run", "a.wav"], "-w dog"),
        (["train", "x", "--out", "o"], "LOOKHEAR_DATA"),
        (["evaluate", "run", "--columns", "audio"], "ours=theirs"),
        (["recipes", "no-such-recipe"], "no recipe"),
    ],
)
def test_misuse_is_one_line_with_the_mend(lookhear, arguments, said):
    assert said in lookhear(*arguments).complaint


# Search and spot -----------------------------------------------------------------------------------------------------


def check_hits(text, key, count):
    hits = json.loads(text)
    assert len(hits) == count
    for hit in hits:
        more = {"probability", "modality"} if key == "query" else set()
        assert {"file", key, "start", "end", "score"} <= set(hit) <= {"file", key, "start", "end", "score"} | more
        assert 0 <= hit["start"] < hit["end"]
        assert Path(hit["file"]).is_file()
    assert [h["score"] for h in hits] == sorted((h["score"] for h in hits), reverse=True)
    return hits


def test_index_says_where_it_is_on_stdout_and_the_rest_on_stderr(lookhear, tiny_run, tiny_folder, tmp_path):
    answer = lookhear("index", tiny_run, tiny_folder, "-o", tmp_path / "i")
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'i'}\n")
    assert "8 recordings, 4 pictures; 12 rows" in answer.err


def test_search_prints_json_and_nothing_else(lookhear, tiny_index):
    answer = lookhear("search", tiny_index, "a red boat", "-k", 4, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert {h["query"] for h in check_hits(answer.out, "query", 4)} == {"a red boat"}


def test_search_prints_a_line_for_each_hit(lookhear, tiny_index):
    hits = json.loads(lookhear("search", tiny_index, "dog", "--json", "-k", 3).out)
    lines = lookhear("search", tiny_index, "dog", "-k", 3).out.splitlines()
    assert [line.split("  ")[-1] for line in lines] == [h["file"] for h in hits]
    assert [float(line.split()[0]) for line in lines] == pytest.approx([h["score"] for h in hits], abs=1e-3)
    times = [next(word for word in line.split() if "–" in word) for line in lines]
    assert [float(t.split("–")[0]) for t in times] == pytest.approx([h["start"] for h in hits], abs=0.01)


def test_search_by_picture_and_by_recording(lookhear, tiny_index, tiny_folder):
    recording, picture = min(tiny_folder.glob("*.flac")), min((tiny_folder / "pictures").glob("*.png"))
    best = check_hits(lookhear("search", tiny_index, "--recording", recording, "-k", 1, "--json").out, "query", 1)[0]
    assert best["file"] == str(recording)
    best = json.loads(lookhear("search", tiny_index, "--picture", picture, "--kind", "pictures", "--json").out)[0]
    assert best["file"] == str(picture)


def test_search_with_a_run_that_moved(lookhear, tiny_run, tiny_folder, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "a")
    lookhear("index", tmp_path / "a", tiny_folder, "-o", tmp_path / "i")
    (tmp_path / "a").rename(tmp_path / "b")
    assert "--run" in lookhear("search", tmp_path / "i", "dog").complaint
    check_hits(lookhear("search", tmp_path / "i", "dog", "--run", tmp_path / "b", "--json", "-k", 2).out, "query", 2)


def test_search_says_when_there_is_nothing_of_the_kind(lookhear, tiny_run, tiny_folder, tmp_path):
    lookhear("index", tiny_run, tiny_folder / "pictures", "-o", tmp_path / "i")
    answer = lookhear("search", tmp_path / "i", "dog", "--json")
    assert (answer.code, json.loads(answer.out)) == (0, [])
    assert "nothing found" in answer.err


def test_spot_prints_json_with_words(lookhear, plain_run, tiny_folder, tmp_path):
    (tmp_path / "words.txt").write_text("boat\n\n  tree \n")
    file = min(tiny_folder.glob("*.flac"))
    answer = lookhear("spot", plain_run, file, "-w", "dog", "--words", tmp_path / "words.txt", "--json")
    assert answer.code == 0
    hits = json.loads(answer.out)
    assert {h["word"] for h in hits} == {"dog", "boat", "tree"}
    check_hits(answer.out, "word", len(hits))


def test_spot_takes_folders_and_a_threshold(lookhear, plain_run, tiny_folder):
    every = json.loads(lookhear("spot", plain_run, tiny_folder, "-w", "dog", "--json").out)
    assert {h["file"] for h in every} == set(map(str, tiny_folder.glob("*.flac")))
    middle = every[len(every) // 2]["score"]
    above = json.loads(lookhear("spot", plain_run, tiny_folder, "-w", "dog", "--threshold", middle, "--json").out)
    assert above
    assert all(h["score"] >= middle - 1e-4 for h in above)
    lines = lookhear("spot", plain_run, tiny_folder, "-w", "dog").out.splitlines()
    assert len(lines) == len(every)
    assert all("  dog  " in line for line in lines)


# Train and evaluate --------------------------------------------------------------------------------------------------


def test_train_goes_on_and_answers_when_finished(lookhear, tiny_run, tiny_recipe, tiny_book, monkeypatch):
    monkeypatch.setenv("LOOKHEAR_DATA", str(tiny_book))
    from lookhear.cli import main

    with pytest.raises(SystemExit) as stop:  # the fixture clears the variable: this call is about it
        main(["train", str(tiny_recipe), "--out", str(tiny_run)])
    assert stop.value.code == 0
    answer = lookhear("train", tiny_recipe, "--data", tiny_book, "--out", tiny_run)
    assert answer.out == f"{tiny_run}\n"
    assert "finished already" in answer.err
    said = lookhear("train", tiny_recipe, "--data", tiny_book, "--out", tiny_run, "--seed", 7).complaint
    assert "another recipe" in said


def test_a_mistake_before_the_first_step_does_not_claim_the_folder(lookhear, tiny_recipe, tiny_book, tmp_path):
    run = tmp_path / "run"
    wrong = ["train", tiny_recipe, "--data", tiny_book, "--out", run, "--set"]
    assert "no pictures with texts in nowhere" in lookhear(*wrong, 'data.teacher=["nowhere"]').err
    assert [p.name for p in run.iterdir()] == ["recipe.toml"]
    assert "no pictures with texts in no-such" in lookhear(*wrong, 'data.teacher=["no-such"]').err
    assert "no-such" in (run / "recipe.toml").read_text()
    (run / "letter.txt").write_text("dear diary")
    assert "another recipe" in lookhear(*wrong, "seed=2").complaint


def test_set_threads_and_seed_reach_the_recipe(lookhear, tiny_recipe, tiny_book, tmp_path, monkeypatch):
    from lookhear.training import train as training

    seen = []
    monkeypatch.setattr(
        training, "_teacher", lambda recipe, *_: seen.append(recipe) or (_ for _ in ()).throw(KeyboardInterrupt)
    )
    lookhear(
        "train", tiny_recipe, "--data", tiny_book, "--out", tmp_path / "r",
        "--set", "training.epochs=7", "--set", "teacher.width=16", "--threads", 1, "--seed", 5,
    )  # fmt: skip
    (recipe,) = seen
    assert (recipe.training.epochs, recipe.teacher.width, recipe.threads, recipe.seed) == (7, 16, 1, 5)


def test_a_stopped_command_says_how_to_go_on(lookhear, tiny_recipe, tiny_book, tmp_path, monkeypatch):
    from lookhear.training import train as training

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_teacher", stop)
    answer = lookhear("train", tiny_recipe, "--data", tiny_book, "--out", tmp_path / "r")
    assert answer.code == 130
    assert answer.err.strip() == "stopped; run the same command again to go on"
    assert answer.out == ""


def test_evaluate_prints_tables_of_the_runs_own_data(lookhear, tiny_run, tiny_book, tmp_path):
    answer = lookhear("evaluate", tiny_run, "--data", tiny_book, "--json", tmp_path / "figures.json")
    assert answer.code == 0, answer.err
    assert "audio → image" in answer.out
    figures = json.loads((tmp_path / "figures.json").read_text())
    r10 = figures["retrieval"]["audio_to_image"]["R@10"]
    assert 0 <= r10["low"] <= r10["value"] <= r10["high"] <= 1
    assert r10["chance"] == pytest.approx(1)  # ten of four


def test_evaluate_prints_json_on_stdout(lookhear, tiny_run, tiny_book):
    answer = lookhear("evaluate", tiny_run, "--on", tiny_book, "--split", "val", "--json", "-")
    assert json.loads(answer.out)["retrieval"]["audio_to_image"]["size"] == 2


@pytest.fixture
def manifest(tiny_folder, tmp_path):
    """A data root with one data set, whose manifest names recordings and captions by columns of its own."""
    folder = tmp_path / "root" / "mine"
    folder.mkdir(parents=True)
    for path in tiny_folder.glob("*.flac"):
        shutil.copy(path, folder)
    rows = [{"wave": p.name, "said": f"a dog and a boat {i}"} for i, p in enumerate(sorted(folder.glob("*.flac")))]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_evaluate_on_a_manifest_by_name_and_by_path(lookhear, tiny_run, manifest):
    columns = ["--columns", "audio=wave", "--columns", "text=said"]
    by_name = lookhear("evaluate", tiny_run, "--on", "mine", "--data", manifest.parent, *columns, "--json", "-")
    by_path = lookhear("evaluate", tiny_run, "--on", manifest, *columns, "--json", "-")
    assert by_name.out == by_path.out
    assert "has no splits" in by_path.err
    assert "skipped" in by_path.err  # no pictures there
    figures = json.loads(by_path.out)
    assert set(figures["retrieval"]) & {"audio_to_text", "audio_to_image"} == {"audio_to_text"}


def test_evaluate_knows_the_columns_of_the_recipes_sources(lookhear, tiny_run, manifest, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    text = (run / "recipe.toml").read_text().replace("sources = []\n", "")
    source = '\n[[data.sources]]\nname = "mine"\ncolumns = { audio = "wave", text = "said" }\n'
    (run / "recipe.toml").write_text(text + source)
    answer = lookhear("evaluate", run, "--on", manifest, "--json", "-")
    assert answer.code == 0, answer.err
    assert "audio_to_text" in json.loads(answer.out)["retrieval"]


def test_evaluate_as_another_recipe_has_its_sections_and_its_data(lookhear, tiny_run, manifest, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(
        'name = "other"\n[[data.sources]]\nname = "mine"\ncolumns = { audio = "wave", text = "said" }\n'
        '[[evaluate]]\nkind = "spotting"\nname = "words"\nwords = ["dog", "0"]\n'
    )
    answer = lookhear("evaluate", tiny_run, "--as", other, "--data", manifest.parent, "--json", "-")
    assert answer.code == 0, answer.err
    figures = json.loads(answer.out)
    assert set(figures) == {"spotting"}
    assert 0 <= figures["spotting"]["words"]["mAP"]["value"] <= 1
    other.write_text('name = "other"\n')
    answer = lookhear("evaluate", tiny_run, "--as", other, "--data", manifest.parent)
    assert answer.code == 2
    assert "recipe other has no evaluation sections" in answer.err


def test_python_evaluate_takes_objects_and_paths(tiny_run, tiny_model, tiny_book):
    import lookhear
    from lookhear.tasks import Retrieval

    corpus = lookhear.open_corpus(tiny_book)
    by_run = lookhear.evaluate(tiny_run, tiny_book)
    by_model = lookhear.evaluate(tiny_model, corpus, sections=[Retrieval()])
    assert by_model["retrieval"] == by_run["retrieval"]
    with pytest.raises(lookhear.UserError, match="brings no evaluation sections"):
        lookhear.evaluate(tiny_model, corpus)


def test_json_figures_stand_under_their_kind():
    from lookhear.api import by_kind

    results = {
        "retrieval": {"kind": "retrieval", "audio_to_image": {"R@1": 0.5}},
        "spoken": {"kind": "spotting", "mAP": 0.9},
        "unseen": {"kind": "spotting", "mAP": 0.2},
    }
    tree = by_kind(results)
    assert tree["retrieval"]["audio_to_image"] == {"R@1": 0.5}
    assert {name: r["mAP"] for name, r in tree["spotting"].items()} == {"spoken": 0.9, "unseen": 0.2}


def test_python_load_and_embed(tiny_run):
    import lookhear

    a = lookhear.load(tiny_run).embed(["a red boat", "a dog"]).pooled
    b = lookhear.embed(tiny_run, ["a red boat", "a dog"]).pooled
    assert a.shape == (2, 32)
    assert (a == b).all()


# The rest ------------------------------------------------------------------------------------------------------------


def test_recipes_are_listed_printed_and_described(lookhear):
    from lookhear.recipe import recipe_names

    listed = lookhear("recipes")
    assert [line.split()[0] for line in listed.out.splitlines()] == recipe_names()
    for name in recipe_names():
        assert len(next(line for line in listed.out.splitlines() if line.startswith(name)).split()) > 1
        assert "extends" in lookhear("recipes", name).out or "[" in lookhear("recipes", name).out
    assert "properties" in json.loads(lookhear("recipes", "--schema").out)


def test_prepare_picturebook_shares_scenes_out(lookhear, tmp_path):
    answer = lookhear("prepare", "picturebook", "--out", tmp_path / "b", "--scenes", 12, "--size", 32, "--seed", 3)
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'b'}\n")
    meta = json.loads((tmp_path / "b" / "corpus.json").read_text())
    assert meta["seed"] == 3
    assert meta["settings"] == {
        "version": meta["settings"]["version"],
        "scenes": {"teacher": 8, "train": 3, "val": 1, "test": 1, "open": 1},
        "size": 32,
    }


def test_demo_passes_its_options_on(lookhear, monkeypatch, tmp_path):
    calls = []
    module = types.ModuleType("lookhear.demo")
    module.run_demo = lambda out, seed, quick: calls.append((out, seed, quick))
    monkeypatch.setitem(sys.modules, "lookhear.demo", module)
    assert lookhear("demo", "--out", tmp_path, "--seed", 2, "--quick").code == 0
    assert lookhear("demo").code == 0
    assert calls == [(tmp_path, 2, True), (Path("demo-out"), 0, False)]


def test_a_reader_that_goes_away_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "lookhear.cli", "--help"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.stderr == b""


def test_a_run_is_calibrated_by_pictures_and_by_labels(lookhear, tiny_run, tiny_book, tiny_folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "calibration.safetensors").write_bytes(b"damaged")
    assert "lookhear calibrate" in lookhear("spot", run, tiny_folder, "-w", "dog").complaint
    again = lookhear("calibrate", run, "--data", tiny_book)
    assert again.code == 0
    (run / "calibration.safetensors").unlink()
    assert "no calibration to go on from" in lookhear("calibrate", run, "--on", tiny_book, "-w", "dog").complaint
    assert "no corpus to calibrate on" in lookhear("calibrate", run).complaint
    answer = lookhear("calibrate", run, "--data", tiny_book)
    assert (answer.code, answer.out.strip()) == (0, str(run))
    found, trained = Calibration.load(run), Calibration.load(tiny_run)
    assert torch.allclose(found.weights, trained.weights, rtol=1e-3, atol=1e-3)
    assert "no words to calibrate" in lookhear("calibrate", run, "--on", tiny_book).complaint
    said = open_corpus(tiny_book).select("test").meta["words"]["spoken"]
    words = [x for w in said for x in ("-w", w)]
    assert lookhear("calibrate", run, "--on", tiny_book, "--split", "test", "--truth", "things", *words).code == 0
    assert not torch.equal(Calibration.load(run).weights, found.weights)
