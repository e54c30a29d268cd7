"""A study: gone on with to the trials asked for, refused for something else, pruned, and never on test items."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib

import pytest
from filelock import FileLock

from lookhear.data.read import open_corpus
from lookhear.errors import UserError
from lookhear.recipe import load_recipe
from lookhear.tuning import study as module
from lookhear.tuning.metric import find_metric
from lookhear.tuning.space import parse_search
from lookhear.tuning.storage import load_study, open_study
from lookhear.tuning.study import tune
from lookhear.tuning.table import table
from lookhear.tuning.trial import Job, Outcome, _Watched

SPACE = [parse_search("training.learning_rate=1e-4:1e-2:log"), parse_search("speech.width=8:24")]


def peak(recipe):
    """Best at 3e-3 and width 20."""
    return 1 - abs(recipe["training"]["learning_rate"] - 3e-3) * 100 - abs(recipe["speech"]["width"] - 20) / 100


@pytest.fixture
def quick(monkeypatch, tiny_recipe, tiny_book, tmp_path):
    """``quick(trials, …)`` tunes with trials that are not trained but answered by ``quick.answer``."""

    class Quick:
        jobs: list[Job] = []  # noqa: RUF012
        out = tmp_path / "study"
        answer = staticmethod(lambda job: Outcome("complete", peak(job.recipe), "run"))

        def __call__(self, trials, space=SPACE, recipe=None, data=tiny_book, **more):
            return tune(str(recipe or tiny_recipe), data, self.out, trials, space, progress=False, **more)

    quick = Quick()
    quick.jobs = []
    monkeypatch.setattr(module, "run_trial", lambda job: quick.jobs.append(job) or quick.answer(job))
    return quick


def test_it_goes_on_to_the_number_of_trials_asked_for(quick):
    assert len(quick(3).trials) == 3
    assert len(quick.jobs) == 3
    found = quick(7)
    assert len(quick.jobs) == 7
    assert sorted(t.number for t in found.trials) == list(range(7))
    assert [t.value for t in found.trials] == sorted((t.value for t in found.trials), reverse=True)
    quick(7)
    quick(2)
    assert len(quick.jobs) == 7
    tried = {(j.recipe["training"]["learning_rate"], j.recipe["speech"]["width"]) for j in quick.jobs}
    assert len(tried) == 7  # a sampler begun anew proposes nothing twice


def test_the_best_recipe_is_written_and_the_first_trial_is_the_recipe_itself(quick, tiny_recipe):
    found = quick(6)
    best = max(quick.jobs, key=lambda j: peak(j.recipe))
    assert load_recipe(str(found.best)).model_dump(mode="json") == best.recipe
    assert quick.jobs[0].recipe == load_recipe(str(tiny_recipe)).model_dump(mode="json")
    assert "on validation (val)" in found.best.read_text().splitlines()[0]
    assert tomllib.loads(found.best.read_text())["name"] == "tiny"
    rows = table(found).splitlines()
    assert rows[0].split() == [
        "trial",
        "retrieval.audio_to_image.R@10",
        "training.learning_rate",
        "speech.width",
        "run",
    ]
    assert len(rows) == 7


def test_a_study_of_something_else_is_refused(quick, tiny_recipe, tmp_path):
    quick(1)
    other = tmp_path / "other.toml"
    other.write_text(tiny_recipe.read_text().replace("epochs = 2", "epochs = 1"))
    with pytest.raises(UserError, match="another recipe"):
        quick(2, recipe=other)
    with pytest.raises(UserError, match="another recipe"):
        quick(2, changes=["seed=4"])
    with pytest.raises(UserError, match="another search space"):
        quick(2, space=[*SPACE, parse_search("training.floor=0.0:1.0")])
    with pytest.raises(UserError, match="another metric"):
        quick(2, metric="spotting")
    assert len(quick.jobs) == 1


def test_other_data_are_refused(quick, tmp_path):
    from lookhear.data.picturebook.build import prepare_picturebook

    quick(1)
    scenes = {"teacher": 2, "train": 2, "val": 2, "test": 1}
    prepare_picturebook(tmp_path / "book", scenes=scenes, size=32, workers=0, progress=False, seed=5)
    with pytest.raises(UserError, match="other data"):
        quick(2, data=tmp_path / "book")


def test_a_trial_that_was_stopped_is_tried_again_first(quick):
    quick(2)

    def stop(job):
        raise KeyboardInterrupt

    answer, quick.answer = quick.answer, stop
    with pytest.raises(KeyboardInterrupt):
        quick(4)
    stopped = quick.jobs[-1].recipe
    quick.answer = answer
    found = quick(4)
    assert quick.jobs[3].recipe == stopped
    assert len(found.trials) == 4
    assert len(quick.jobs) == 5


def test_a_trial_that_cannot_be_trained_counts_and_is_not_the_best(quick):
    def answer(job):
        wide = job.recipe["speech"]["width"] > 15
        return Outcome("failed", why=("the loss is not finite", "")) if wide else Outcome("complete", 0.1, "run")

    quick.answer = answer
    found = quick(8)
    assert len(found.trials) == 8
    assert {"complete", "fail"} == {t.state for t in found.trials}
    assert load_recipe(str(found.best)).speech.width <= 15


def test_where_none_can_be_trained_the_last_reason_is_said(quick):
    quick.answer = lambda job: Outcome("failed", why=("the loss is not finite", "Lower the learning rate."))
    with pytest.raises(UserError, match="none of 2 trials could be finished; the last: the loss is not finite"):
        quick(2)


def test_a_mistake_of_the_study_stops_it_and_leaves_room_for_another(quick):
    quick.answer = lambda job: Outcome("mistake", why=("--metric x.y: no 'y'", "Known: z."))
    with pytest.raises(UserError, match="no 'y'"):
        quick(2)
    quick.answer = lambda job: Outcome("complete", 0.5, "run")
    assert len(quick(1, metric="spotting.EER").trials) == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"metric": "spoken"}, "no evaluation section 'spoken'"),
        ({"changes": ['data.validation=["nowhere"]']}, "no split 'nowhere'"),
        ({"prune": True}, "nothing to prune by"),
        ({"changes": ["evaluate=[]"]}, "no evaluation sections"),
    ],
    ids=["metric", "no validation items", "prune", "no sections"],
)
def test_mistakes_before_the_first_trial(quick, more, said):
    with pytest.raises(UserError, match=said):
        quick(1, **more)
    assert not quick.jobs


def test_a_second_process_is_refused(quick):
    quick.out.mkdir()
    with FileLock(quick.out / "lock"), pytest.raises(UserError, match="another process tunes"):
        quick(1)


def test_without_optuna_the_extra_is_named(quick, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"lookhear\[tune\]"):
        quick(1)


def test_trials_worse_than_the_median_are_given_up(tmp_path):
    made_for = {"recipe": "r", "data": "d", "space": json.dumps({}), "metric": "m"}
    study = open_study(tmp_path, "maximize", made_for, 0, 1)
    for value in (0.1, 0.2, 0.3, 0.4, 0.5):
        trial = study.ask()
        trial.report(value, 1)
        study.tell(trial, value)

    def hopeless(value, prune):
        job = Job({}, tmp_path, tmp_path, "m", study.ask()._trial_id, prune, False)
        return _Watched(job).hopeless(value, 1)

    assert hopeless(0.05, True)
    assert not hopeless(0.05, False)
    assert not hopeless(0.45, True)
    assert load_study(tmp_path).get_trials()[-1].intermediate_values == {1: 0.45}


def test_the_metric_is_read_by_its_path(tiny_recipe, tiny_book):
    recipe, items = load_recipe(str(tiny_recipe)), open_corpus(tiny_book).select("val")
    results = {"retrieval": {"audio_to_image": {"R@10": {"value": 0.25}, "median_rank": {"value": 3.0}}}}
    assert find_metric("", recipe, items).read(results) == 0.25
    rank = find_metric("retrieval.audio_to_image.median_rank", recipe, items)
    assert (rank.read(results), rank.direction) == (3.0, "minimize")
    assert find_metric("spotting", recipe, items).name == "spotting.mAP"
    assert find_metric("spotting.EER", recipe, items).direction == "minimize"
    with pytest.raises(UserError, match="did you mean 'R@10'"):
        find_metric("retrieval.audio_to_image.R@1O", recipe, items).read(results)
    with pytest.raises(UserError, match="is no figure"):
        find_metric("retrieval.audio_to_image", recipe, items).read(results)


@pytest.fixture(scope="module")
def trained(tiny_recipe, tiny_book, tmp_path_factory):
    """A study of two real trials, with a validation after each epoch."""
    out = tmp_path_factory.mktemp("tune") / "out"
    seen = []
    found = tune(
        str(tiny_recipe), tiny_book, out, 2, [parse_search("speech.width=8:24")],
        metric="spotting", changes=["training.validate_every=1"], progress=False, say=seen.append,
    )  # fmt: skip
    return found, out, seen


def test_real_trials_are_measured_on_validation_items_with_the_kept_weights(trained, tiny_book):
    import lookhear

    found, out, said = trained
    assert [t.state for t in found.trials] == ["complete"] * 2
    for t in found.trials:
        results = lookhear.evaluate(out / "runs" / t.run, tiny_book, split="val")
        assert t.value == pytest.approx(results["spotting"]["mAP"]["value"], abs=1e-6)
    assert len(load_study(out).get_trials()[0].intermediate_values) == 2
    assert len(list((out / "teachers").iterdir())) == 1
    assert len(said) == 2


def test_the_command_prints_trials_and_goes_on(trained, lookhear, tiny_recipe, tiny_book):
    found, out, _ = trained
    answer = lookhear(
        "tune", tiny_recipe, "--data", tiny_book, "--out", out, "--trials", 2, "--metric", "spotting",
        "--search", "speech.width=8:24", "--set", "training.validate_every=1",
    )  # fmt: skip
    assert (answer.code, answer.out) == (0, table(found) + "\n")
    assert "best.toml" in answer.err
    said = lookhear("tune", tiny_recipe, "--data", tiny_book, "--out", out, "--trials", 2, "--search", "x=1:2", "y=")
    assert "--search" in said.complaint or "y=" in said.complaint


@pytest.mark.slow
def test_two_workers_killed_in_the_middle_are_gone_on_with(tiny_recipe, tiny_book, tmp_path):
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "lookhear.cli", "tune", str(tiny_recipe), "--data", str(tiny_book), "--out", str(out),
        "--trials", "4", "--workers", "2", "--search", "speech.width=8:24", "--metric", "spotting",
    ]  # fmt: skip
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True) as first:
        try:
            assert first.stderr is not None
            for line in first.stderr:
                if line.startswith("trial"):
                    break
        finally:
            os.killpg(first.pid, signal.SIGKILL)
    done = [t for t in load_study(out).get_trials() if t.state.is_finished()]
    assert 1 <= len(done) < 4
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    finished = [t for t in load_study(out).get_trials() if t.state.name == "COMPLETE"]
    assert len(finished) == 4
    assert {t.number: t.value for t in done}.items() <= {t.number: t.value for t in finished}.items()
    assert load_recipe(str(out / "best.toml")).speech.width in {t.params["speech.width"] for t in finished}
