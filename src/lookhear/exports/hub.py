"""Runs on the Hugging Face hub: what a run needs goes up in one commit, and comes down whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lookhear.data.store import new_folder
from lookhear.errors import UserError
from lookhear.exports.card import model_card, recipe_of_run
from lookhear.exports.hub_library import hub_library, told
from lookhear.models.calibration import FILE as CALIBRATION
from lookhear.models.model import Model

__all__ = ["CARD", "NEEDED", "OPTIONAL", "pull", "push"]

CARD = "README.md"
NEEDED = ("model.json", "model.safetensors", "recipe.toml")
OPTIONAL = (CALIBRATION, "bridge.json", CARD)
"""With ``NEEDED`` all that goes up and comes down: no checkpoints, logs, or other files of a folder or repository."""

Say = Callable[[str], None]


def push(
    run: Path | str,
    name: str,
    *,
    private: bool = False,
    token: str | None = None,
    endpoint: str | None = None,
    say: Say = lambda line: None,
) -> str:
    """Uploads a run in one commit; the repository is made where there is none.

    A card (README.md) that lies in the run folder goes along; without one, one is written from the run. Of a repository
    that is there already, files of a run that this one does not have are taken away in the same commit, so that what
    comes down is one run; all else in it stays, and its history keeps what was.

    Args:
        run: the run folder.
        name: owner/name.
        private: of a repository that is made.
        token: one that may write; what `hf auth login` or HF_TOKEN left, by default.
        endpoint: address of the hub; HF_ENDPOINT or huggingface.co by default.

    Returns:
        The commit's address.

    Raises:
        UserError: no run, one that needs folders of this machine, or what the hub or the network refuses.
    """
    run, hub = Path(run), hub_library()
    Model.load(run)
    _check_travels(run)
    card = (run / CARD).read_bytes() if (run / CARD).is_file() else None
    if card is None:
        say(f"{run} has no {CARD}: a short one goes along; `lookhear export {run} --card {run / CARD}` can say more")
        card = model_card(run, name).encode()
    files = [f for f in (*NEEDED, *OPTIONAL) if f != CARD and (run / f).is_file()]
    api = hub.HfApi(endpoint=_endpoint(endpoint), token=token)
    with told(name, api.endpoint):
        if token is None and hub.get_token() is None:
            raise UserError(f"{name}: no token to upload with", "Log in with `hf auth login`, or give --token.")
        api.create_repo(name, private=private or None, exist_ok=True)
        before = api.model_info(name)
        there = {s.rfilename for s in before.siblings or ()}
        operations = [hub.CommitOperationAdd(f, str(run / f)) for f in files]
        operations.append(hub.CommitOperationAdd(CARD, card))
        gone = there & {*NEEDED, *OPTIONAL} - {*files, CARD}
        operations += [hub.CommitOperationDelete(f) for f in sorted(gone)]
        made = api.create_commit(name, operations, commit_message="A LookHear run", parent_commit=before.sha)
    return str(made.commit_url)


def pull(name: str, out: Path | str, *, token: str | None = None, endpoint: str | None = None) -> str:
    """Downloads a run into a new folder, which appears when the run is whole and opens.

    Args:
        name: owner/name, or owner/name@revision: a branch, tag or commit.
        out: the run folder to be; nothing may lie there.
        token, endpoint: as of ``push``; public runs need no token.

    Returns:
        The commit that was downloaded.

    Raises:
        UserError: something lies in ``out``, no such repository or revision, no run in it, a run that does not open, or
            what the network refuses.
    """
    hub = hub_library()
    repo, _, revision = name.partition("@")
    api = hub.HfApi(endpoint=_endpoint(endpoint), token=token)
    with new_folder(Path(out)) as building:
        with told(repo, api.endpoint):
            about = api.model_info(repo, revision=revision or None)
            there = {s.rfilename for s in about.siblings or ()}
            lacking = [f for f in NEEDED if f not in there]
            if lacking:
                raise UserError(f"{repo}: no LookHear run in it ({lacking[0]} is missing)", "Check the name.")
            for file in (*NEEDED, *OPTIONAL):
                if file in there:
                    api.hf_hub_download(repo, file, revision=about.sha, local_dir=building)
        shutil.rmtree(building / ".cache", ignore_errors=True)  # the library's notes about the download
        Model.load(building)
    return str(about.sha)


def _endpoint(given: str | None) -> str | None:
    return given or os.environ.get("HF_ENDPOINT") or None


def _check_travels(run: Path) -> None:
    """
    Raises:
        UserError: no recipe, or the run finds a part of itself in a folder of this machine.
    """
    recipe_of_run(run)
    about: dict[str, Any] = json.loads((run / "model.json").read_text())
    teacher, speech = about["teacher"], about.get("speech") or {}
    for part in (teacher.get("encoder"), teacher.get("name"), speech.get("name"), *teacher.get("runs", ())):
        if part and Path(part).expanduser().is_dir():
            raise UserError(
                f"{run} needs {part}, a folder of this machine", "Train from models that the hub has, by their names."
            )
