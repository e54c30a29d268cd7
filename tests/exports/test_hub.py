"""Runs go up to a hub and come down from it, really over HTTP: to one that a thread of this process plays."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_hub import TOKEN, FakeHub, serving

from lookhear.errors import UserError
from lookhear.exports.hub import NEEDED, pull, push
from lookhear.models.model import Model

constants = pytest.importorskip("huggingface_hub.constants", reason="needs the 'hub' extra")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """A hub, and nobody logged in; large files go by LFS, since xet's storage is another protocol."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none" / "token"))
    with serving() as played:
        yield played


def refused(call: Any, *given: Any, **more: Any) -> str:
    with pytest.raises(UserError) as e:
        call(*given, **more)
    assert "\n" not in str(e.value)
    return str(e.value)


def test_there_and_back(hub: FakeHub, tiny_run: Path, tmp_path: Path) -> None:
    said: list[str] = []
    at = push(tiny_run, "me/tiny", token=TOKEN, endpoint=hub.address, say=said.append)
    sha, files, _ = hub.repos["me/tiny"][-1]
    assert at == f"{hub.address}/me/tiny/commit/{sha}"
    assert set(files) == {*NEEDED, "calibration.safetensors", "README.md", ".gitattributes"}
    assert "lookhear pull me/tiny model" in files["README.md"].decode()
    assert len(said) == 1
    assert sum(asked.startswith("PUT /blobs/") for asked in hub.asked) == 2

    out = tmp_path / "runs" / "down"
    assert pull("me/tiny", out, endpoint=hub.address) == sha
    assert {p.name for p in out.iterdir()} == {*NEEDED, "calibration.safetensors", "README.md"}
    for name in (*NEEDED, "calibration.safetensors"):
        assert (out / name).read_bytes() == (tiny_run / name).read_bytes()
    assert [p.name for p in out.parent.iterdir()] == ["down"]
    texts = ["a red boat"]
    one, other = (Model.load(run).embed_texts(texts).pooled.numpy() for run in (tiny_run, out))
    assert np.array_equal(one, other)


def test_a_later_push_is_a_later_commit_without_files_of_the_earlier_run(
    hub: FakeHub, tiny_run: Path, plain_run: Path, tmp_path: Path
) -> None:
    where: dict[str, Any] = {"token": TOKEN, "endpoint": hub.address}
    push(tiny_run, "me/tiny", **where)
    first = hub.repos["me/tiny"][-1]
    hub.commit("me/tiny", {**first[1], "notes.txt": b"mine"}, "a note")
    run = tmp_path / "plain"
    shutil.copytree(plain_run, run)
    (run / "README.md").write_text("---\nlibrary_name: lookhear\n---\n\n# Mine\n")
    push(run, "me/tiny", **where)
    files = hub.repos["me/tiny"][-1][1]
    assert files["README.md"].endswith(b"# Mine\n")
    assert files["notes.txt"] == b"mine"
    assert "calibration.safetensors" not in files
    pull("me/tiny", tmp_path / "new", endpoint=hub.address)
    assert not (tmp_path / "new" / "calibration.safetensors").exists()
    assert not (tmp_path / "new" / "notes.txt").exists()
    assert pull(f"me/tiny@{first[0]}", tmp_path / "old", endpoint=hub.address) == first[0]
    assert (tmp_path / "old" / "calibration.safetensors").is_file()


def test_private_runs_and_tokens(hub: FakeHub, tiny_run: Path, tmp_path: Path) -> None:
    push(tiny_run, "me/secret", private=True, token=TOKEN, endpoint=hub.address)
    assert hub.hidden == {"me/secret"}
    assert "not there, or not for this token" in refused(pull, "me/secret", tmp_path / "a", endpoint=hub.address)
    pull("me/secret", tmp_path / "a", token=TOKEN, endpoint=hub.address)
    assert "no token to upload with" in refused(push, tiny_run, "me/other", endpoint=hub.address)
    assert "does not let this token (401)" in refused(push, tiny_run, "me/x", token="hf_no", endpoint=hub.address)
    assert "does not let this token (403)" in refused(push, tiny_run, "you/x", token=TOKEN, endpoint=hub.address)
    assert set(hub.repos) == {"me/secret"}


@pytest.mark.parametrize(("status", "meaning"), [(412, "changed by someone else"), (413, "refuses (broken)")])
def test_commits_that_the_hub_refuses(hub: FakeHub, tiny_run: Path, status: int, meaning: str) -> None:
    hub.failing["/api/models/me/tiny/commit/main"] = status
    assert meaning in refused(push, tiny_run, "me/tiny", token=TOKEN, endpoint=hub.address)
    assert len(hub.repos["me/tiny"]) == 1


def test_what_is_not_there(hub: FakeHub, tiny_run: Path, tmp_path: Path) -> None:
    hub.commit("me/else", {"model.json": b"{}", "config.json": b"{}"}, "something else")
    where: dict[str, Any] = {"endpoint": hub.address}
    assert "no such model" in refused(pull, "me/none", tmp_path / "x", token=TOKEN, **where)
    assert "no such revision" in refused(pull, "me/else@v2", tmp_path / "x", **where)
    assert "no LookHear run in it (model.safetensors is missing)" in refused(pull, "me/else", tmp_path / "x", **where)
    assert "is no name of a model" in refused(pull, "me/a/b", tmp_path / "x", **where)
    assert "is no name of a model" in refused(push, tiny_run, "me/..", token=TOKEN, **where)
    assert "no trained model" in refused(push, tmp_path, "me/x", token=TOKEN, **where)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(hub: FakeHub, tiny_run: Path, tmp_path: Path) -> None:
    push(tiny_run, "me/tiny", token=TOKEN, endpoint=hub.address)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("kept")
    asked = len(hub.asked)
    assert "exists and is not empty" in refused(pull, "me/tiny", tmp_path / "mine", endpoint=hub.address)
    assert len(hub.asked) == asked
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["a.txt"]


def test_a_download_that_is_not_whole_or_no_run_leaves_nothing(hub: FakeHub, tiny_run: Path, tmp_path: Path) -> None:
    push(tiny_run, "me/tiny", token=TOKEN, endpoint=hub.address)
    files = hub.repos["me/tiny"][-1][1]
    hub.commit("me/bad", {**files, "model.safetensors": files["model.safetensors"][:-100]}, "cut")
    assert "model.safetensors: damaged" in refused(pull, "me/bad", tmp_path / "x", endpoint=hub.address)
    hub.failing[f"/me/tiny/resolve/{hub.repos['me/tiny'][-1][0]}/recipe.toml"] = 403
    assert "403" in refused(pull, "me/tiny", tmp_path / "x", endpoint=hub.address)
    assert list(tmp_path.iterdir()) == []


def test_no_network(tiny_run: Path, tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert f"{nowhere} cannot be reached" in refused(pull, "me/tiny", tmp_path / "x", endpoint=nowhere)
    assert "cannot be reached" in refused(push, tiny_run, "me/tiny", token=TOKEN, endpoint=nowhere)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(pull, "me/tiny", tmp_path / "x", endpoint=hub.address)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_needs_a_folder_of_this_machine_stays(hub: FakeHub, tiny_run: Path, tmp_path: Path) -> None:
    from lookhear.models.texts import resolve_name

    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    about = json.loads((run / "model.json").read_text())
    about["teacher"]["encoder"] = resolve_name(about["teacher"]["encoder"])
    (run / "model.json").write_text(json.dumps(about))
    assert "a folder of this machine" in refused(push, run, "me/tiny", token=TOKEN, endpoint=hub.address)
    assert hub.asked == []


def test_as_a_person_types_it(
    lookhear: Any, hub: FakeHub, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    answer = lookhear("push", tiny_run, "me/tiny", "--private", "--token", TOKEN)
    assert answer.code == 0, answer
    sha = hub.repos["me/tiny"][-1][0]
    assert answer.out == f"{hub.address}/me/tiny/commit/{sha}\n"
    assert TOKEN not in answer.out + answer.err
    answer = lookhear("pull", "me/tiny@main", tmp_path / "run", "--token", TOKEN)
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'run'}\n")
    assert sha in answer.err
    assert "not there" in lookhear("pull", "me/tiny", tmp_path / "other").complaint
