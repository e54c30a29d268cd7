"""The process that trains one run while the demo's own process trains another; started by ``towers.Child``.

Standard input: one line of JSON with "recipe", "data", "out" and "threads"; then nothing, until its end says that the
demo has ended or wants this process to end: the training saves its checkpoint and stops, as at Ctrl-C. Standard output:
a UserError as one line of JSON with "what" and "fix". Exit codes: 0 trained, 2 UserError, 130 stopped.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from typing import Any

from lookhear.errors import UserError

__all__ = ["main"]


def main() -> int:
    """Trains what standard input asks for."""
    # A shell starts background jobs with Ctrl-C ignored, and a child inherits that: here it is how training is stopped.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # Unbuffered, for a thread that waits inside a buffered reader must not be cut off at the interpreter's end.
        with io.FileIO(0, closefd=False) as standard_input:
            job = json.loads(standard_input.readline())
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
        _train(job)
    except UserError as e:
        print(json.dumps({"what": e.what, "fix": e.fix}), flush=True)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _train(job: dict[str, Any]) -> None:
    import torch

    from lookhear.recipe import check
    from lookhear.training.train import train

    torch.set_num_threads(job["threads"])
    train(check(job["recipe"], "of the demo"), job["data"], job["out"], progress=False)


def _stop_at_end_of_input() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
