"""The towers of a run as ONNX files, each held against the tower itself before it is kept."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lookhear.data.store import new_folder
from lookhear.errors import UserError, did_you_mean
from lookhear.exports.graphs import Graph, TextGraph, graphs_of
from lookhear.models.model import Model

__all__ = ["TOLERANCE", "TOWERS", "export_onnx", "largest_difference"]

TOWERS = ("speech", "image", "text")
TOLERANCE = 1e-3
"""The most that a file's answers may differ from the tower's (``largest_difference``); others are not kept."""
_OPSET = 20  # the first with a DFT of any axis, which the log-mel needs
_INSIDE = 1 << 30  # bytes of weights that go into the file itself: protobuf ends at 2 GiB


def export_onnx(run: Path | str | Model, out: Path | str, towers: Sequence[str] = TOWERS) -> dict[str, float]:
    """Writes ``speech.onnx``, ``image.onnx``, ``text.onnx``, ``tokenizer/`` and ``onnx.json`` into a new folder.

    Speech takes samples, so that its log-mel is part of the file; texts take token ids. Batches, lengths of recordings
    and numbers of tokens are free. ``onnx.json`` says what the inputs are, and how far the answers differ.

    Args:
        run: a run folder, or its model.
        out: the folder; it appears when all files are whole and their answers are those of the towers.
        towers: some of "speech", "image" and "text".

    Returns:
        Tower → the largest difference between its numbers and the file's, by onnxruntime, over items of several sizes,
        alone and in one padded batch (``largest_difference``).

    Raises:
        UserError: no run, ``out`` is not empty, the extra is not installed, or a tower that cannot be exported.
    """
    for tower in towers:
        if tower not in TOWERS:
            raise UserError(f"no tower {tower!r}", did_you_mean(tower, TOWERS))
    for name in ("onnx", "onnxscript", "onnxruntime"):
        _library(name)
    model = run if isinstance(run, Model) else Model.load(run)
    graphs = graphs_of(model, tuple(towers))
    about: dict[str, Any] = {}
    with new_folder(Path(out)) as building:
        for graph in graphs:
            path = building / f"{graph.name}.onnx"
            _write(graph.eval(), path)
            about[graph.name] = {
                "file": path.name,
                "inputs": list(graph.inputs),
                "outputs": list(graph.outputs),
                **graph.about(),
                "largest_difference": _checked(graph, path),
            }
            if isinstance(graph, TextGraph):
                graph.tokenizer.save_pretrained(building / "tokenizer")
        told = {
            "lookhear": importlib.metadata.version("lookhear"),
            "opset": _OPSET,
            "dim": model.dim,
            "compatibility": model.compatibility.model_dump(mode="json"),
            "towers": about,
        }
        (building / "onnx.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return {name: tower["largest_difference"] for name, tower in about.items()}


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise UserError(f"ONNX files need {name}, of the 'onnx' extra", "pip install 'lookhear[onnx]'.") from e


def _write(graph: Graph, path: Path) -> None:
    """
    Raises:
        UserError: PyTorch finds no graph.
    """
    weights = {id(p): p.numel() * p.element_size() for p in (*graph.parameters(), *graph.buffers())}
    free = {name: dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for name, axes in graph.inputs.items()}
    try:
        with _quietly(), torch.no_grad():
            torch.onnx.export(
                graph,
                graph.together(),
                path,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=free,
                opset_version=_OPSET,
                external_data=sum(weights.values()) > _INSIDE,
                custom_translation_table={torch.ops.aten.sigmoid.default: _sigmoid},
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as e:
        reason = next((line for line in str(e.__cause__ or e).splitlines() if line.strip()), type(e).__name__)
        raise UserError(
            f"the {graph.name} tower has no ONNX graph ({reason.strip()})", "Name the other towers with --tower."
        ) from None


def _sigmoid(x: Any) -> Any:
    """1 / (1 + e^−x). onnxruntime's own is near in absolute terms only: a frame whose gate is all but closed got a
    local vector of another direction, and words were heard in silence."""
    op = _library("onnxscript").opset20
    return op.Reciprocal(op.Add(op.Exp(op.Neg(x)), 1.0))


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps the exporters' notes to themselves, and Transformers on the path that a graph can be made of."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    fast = torch.backends.mha.get_fastpath_enabled()
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(fast)


def _checked(graph: Graph, path: Path) -> float:
    """
    Raises:
        UserError: the file does not answer as the tower does.
    """
    found = largest_difference(graph, path)
    if not found <= TOLERANCE:
        raise UserError(
            f"the {graph.name} tower's ONNX file differs from the tower by {found:.1g}, so it was not kept",
            "Name the other towers with --tower, and report this.",
        )
    return found


def largest_difference(graph: nn.Module, path: Path) -> float:
    """How far the answers of a file are from those of its graph, over its examples alone and together.

    The largest absolute difference; in an answer with numbers beyond 1, as a share of the largest of them. Infinities
    (a tag's curve outside the mask) must be the same ones; shapes and masks must be equal.
    """
    assert isinstance(graph, Graph)
    session = _library("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    largest = 0.0
    for inputs in (*graph.alone(), graph.together()):
        with torch.inference_mode():
            wanted = graph(*inputs)
        given = {name: x.numpy() for name, x in zip(graph.inputs, inputs, strict=True)}
        for one, other in zip(wanted, map(torch.from_numpy, session.run(None, given)), strict=True):
            if one.shape != other.shape or not torch.equal(one.isinf(), other.isinf()):
                return float("inf")
            finite = ~one.isinf()
            gap = (one.float() - other.float())[finite].abs().nan_to_num(nan=float("inf")).max()
            largest = max(largest, float(gap / one[finite].float().abs().max().clamp(min=1)))
    return largest
