"""The library of the Hugging Face hub, and what its errors mean to whoever typed a command."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lookhear.errors import UserError

__all__ = ["hub_library", "told"]


def hub_library() -> Any:
    """``huggingface_hub``.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as e:
        raise UserError("model cards and the hub need the 'hub' extra", "pip install 'lookhear[hub]'.") from e


@contextmanager
def told(repo: str, endpoint: str) -> Iterator[None]:
    """Turns what the hub's library raises into one line.

    Args:
        repo: owner/name, for the line.
        endpoint: the hub's address.

    Raises:
        UserError: instead.
    """
    errors = importlib.import_module("huggingface_hub.errors")
    transport = errors.HfHubHTTPError.__mro__[1]  # the HTTP library has changed with the versions
    own = errors.LocalTokenNotFoundError, errors.HFValidationError, errors.OfflineModeIsEnabled
    try:
        yield
    except (transport, *own, errors.LocalEntryNotFoundError, RuntimeError) as e:
        cause = e.__cause__ if isinstance(e, (errors.LocalEntryNotFoundError, RuntimeError)) else None
        raise _meaning(cause or e, repo, endpoint) from None
    except OSError as e:
        if e.errno is not None:  # a full disk, and the like
            raise
        raise UserError(f"{repo}: the download is not whole ({_line(e)})", "Try again.") from None


_TOKEN = "Log in with `hf auth login`, or give --token or HF_TOKEN."


def _meaning(error: BaseException, repo: str, endpoint: str) -> UserError:
    errors = importlib.import_module("huggingface_hub.errors")
    if isinstance(error, errors.LocalTokenNotFoundError):
        return UserError(f"{repo}: no token for {endpoint}", _TOKEN)
    if isinstance(error, errors.HFValidationError):
        return UserError(f"{repo!r} is no name of a model", "Write owner/name.")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UserError(f"{repo}: HF_HUB_OFFLINE is set", "Unset it to reach the hub.")
    if isinstance(error, errors.GatedRepoError):
        return UserError(f"{repo}: its owner lets in only who asked", f"Ask on {endpoint}/{repo}. {_TOKEN}")
    if isinstance(error, errors.RevisionNotFoundError):
        return UserError(f"{repo}: no such revision", "Name a branch, a tag or a commit that it has.")
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(error, repo, endpoint)
    return UserError(f"{endpoint} cannot be reached ({_line(error)})", "Check the network and HF_ENDPOINT.")


def _refused(error: Any, repo: str, endpoint: str) -> UserError:
    status = error.response.status_code
    if type(error).__name__ == "RepositoryNotFoundError":
        if status == 401:
            return UserError(f"{repo}: not there, or not for this token", f"Check the name. {_TOKEN}")
        return UserError(f"{repo}: no such model on {endpoint}", f"Check the name. {_TOKEN}")
    if status in (401, 403):
        return UserError(f"{repo}: {endpoint} does not let this token ({status})", f"It must be one that may. {_TOKEN}")
    if status == 412:
        return UserError(f"{repo}: changed by someone else meanwhile", "Look at it, and push again.")
    if status == 429 or status >= 500:
        return UserError(f"{repo}: {endpoint} is busy or broken ({status})", "Try again later.")
    return UserError(f"{repo}: {endpoint} refuses ({error.server_message or status})", "Check the name and the token.")


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
