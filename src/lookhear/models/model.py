"""A model: a speech tower and the teacher's towers around one shared space; saved, loaded and asked for vectors."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from lookhear.audio import load_audio, pad_audio
from lookhear.core import Features, Padded, in_eval
from lookhear.data.images import load_image
from lookhear.errors import UserError
from lookhear.models.calibration import Calibration
from lookhear.models.evidence import WordEvidence
from lookhear.models.heads import TagHead
from lookhear.models.images import VectorTower
from lookhear.models.speech import SpeechTower
from lookhear.models.teacher import Teacher, TeacherConfig
from lookhear.models.texts import TextTower
from lookhear.models.towers import SpeechTowerConfig
from lookhear.scoring import Compatibility

__all__ = ["FORMAT", "Model"]

FORMAT = 3
"""Version of a run folder's model files; raised when an older LookHear could not read them."""

_AUDIO = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a"}
_IMAGE = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


class Model(nn.Module):
    """Three towers of one space.

    Attributes:
        audio: speech tower, or None before there is one.
        image, text: the teacher's towers, frozen.
        compatibility: how local vectors meet a query, in training and in use.
        evidence: adds single words to the wholes of recordings that are embedded; None until words were learned.
        head: answers for a closed vocabulary beside the shared space; None where none was trained.
        calibration: what makes scores of moments probabilities; None where it was not learned.
    """

    def __init__(self, teacher: Teacher, audio: SpeechTower | None, compatibility: Compatibility | None = None) -> None:
        super().__init__()
        self.teacher, self.audio = teacher, audio
        self.compatibility = compatibility or Compatibility()
        self.evidence: WordEvidence | None = None
        self.head: TagHead | None = None
        self.calibration: Calibration | None = None

    @property
    def image(self) -> nn.Module:
        return self.teacher.image

    @property
    def text(self) -> nn.Module:
        return self.teacher.text

    @property
    def dim(self) -> int:
        return self.teacher.dim

    @property
    def step(self) -> float:
        """Seconds between the local vectors of speech."""
        assert self.audio is not None
        return self.audio.step

    @property
    def context(self) -> float:
        """Seconds on either side of a local vector of speech that can reach it; infinite where there is no bound."""
        assert self.audio is not None
        return self.audio.context

    def hear(self, x: Padded) -> Features:
        """(B, S) samples → Features as they are searched: with the tag head's answers and the evidence of words.

        Raises:
            UserError: no speech tower.
        """
        if self.audio is None:
            raise UserError("this model has no speech tower", "Train one first.")
        features: Features = self.audio(x)
        features = replace(features, hidden=None) if self.head is None else self.head(features)
        return features if self.evidence is None else self.evidence(features, self.compatibility)

    def embed_audio(
        self, waves: Sequence[NDArray[np.float32]], batch_size: int = 32, progress: bool = False
    ) -> Features:
        """Features of (S,) float32 16 kHz recordings, in the order given."""
        order = sorted(range(len(waves)), key=lambda i: len(waves[i]))

        def run(ids: list[int]) -> Features:
            return self.hear(pad_audio([waves[i] for i in ids]))

        return self._in_batches(order, run, batch_size, progress)

    def whole_of_frames(self, local: Tensor, mask: Tensor) -> Tensor | None:
        """(B, N, D) stretches of frames of longer recordings → (B, D) unit vectors of each as a whole.

        None where a tower's whole is not made of its local vectors alone (``SpeechTower.whole``).
        """
        assert self.audio is not None
        with torch.inference_mode():
            pooled = self.audio.whole(local, mask)
            if pooled is None or self.evidence is None:
                return pooled
            found: Features = self.evidence(Features(pooled, local, mask, self.step), self.compatibility)
            return found.pooled

    def embed_images(self, images: Sequence[Image.Image], batch_size: int = 64, progress: bool = False) -> Features:
        """Features of pictures."""
        if isinstance(self.image, VectorTower):
            raise UserError(
                "this model's pictures are vectors computed elsewhere", "Give their vectors (embed_vectors), not files."
            )
        prepare: Any = self.image.prepare

        def run(ids: list[int]) -> Features:
            seen: Features = self.image(prepare([images[i] for i in ids]))
            return replace(seen, hidden=None)

        return self._in_batches(list(range(len(images))), run, batch_size, progress)

    def embed_vectors(self, vectors: NDArray[np.float32]) -> Features:
        """Features of (B, V) image vectors computed elsewhere.

        Raises:
            UserError: this model was trained on pictures, or on vectors of another width.
        """
        if not isinstance(self.image, VectorTower):
            raise UserError("this model looks at pictures, not at vectors", "Give the pictures themselves.")
        if vectors.shape[1] != self.image.width:
            raise UserError(f"image vectors of width {vectors.shape[1]}", f"This model takes {self.image.width}.")
        with torch.inference_mode():
            out: Features = self.image(Padded(torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))))
            return out

    def embed_texts(self, texts: Sequence[str], batch_size: int = 64, progress: bool = False) -> Features:
        """Features of texts; each different text is encoded once.

        Raises:
            UserError: a text the encoder can make nothing of.
        """
        unique = sorted(set(texts), key=lambda t: (len(t), t))
        tokenize: Any = self.text.tokenize
        run: Callable[[list[int]], Features] = lambda ids: self.text(tokenize([unique[i] for i in ids]))  # noqa: E731
        found = self._in_batches(list(range(len(unique))), run, batch_size, progress)
        place = {t: i for i, t in enumerate(unique)}
        return found[[place[t] for t in texts]]

    def contrast(self, pooled: Tensor) -> Tensor:
        """(B, D) vectors of whole recordings → (B,) what their cosines with whole texts are to be multiplied by.

        See ``TextTower.contrast``; ones for teachers that do not know the spread of their texts (CLIP, SigLIP).
        """
        if isinstance(self.text, TextTower):
            return self.text.contrast(pooled)
        return pooled.new_ones(len(pooled), dtype=torch.float32)

    def embed(self, things: Iterable[Any]) -> Features:
        """Features of anything: paths of recordings or pictures, (S,) 16 kHz arrays, PIL pictures, or texts.

        A string is a file if it ends like one and exists, else it is a text; a ``Path`` is a file. All things must be
        of one modality.
        """
        items = list(things)
        kinds = {_modality(x) for x in items}
        if len(kinds) != 1:
            raise UserError(f"embed was given {', '.join(sorted(kinds)) or 'nothing'}", "Embed one modality at a time.")
        kind = kinds.pop()
        if kind == "audio":
            return self.embed_audio([x if isinstance(x, np.ndarray) else load_audio(x) for x in items])
        if kind == "image":
            return self.embed_images([load_image(x) for x in items])
        return self.embed_texts([str(x) for x in items])

    def _in_batches(
        self, order: list[int], run: Callable[[list[int]], Features], size: int, progress: bool
    ) -> Features:
        from tqdm import tqdm

        if not order:
            raise UserError("nothing to embed", "Give at least one item.")
        parts, rows = [], []
        with in_eval(self), torch.inference_mode():
            for i in tqdm(range(0, len(order), size), disable=None if progress else True, unit="batch", leave=False):
                parts.append(run(order[i : i + size]))
                rows += order[i : i + size]
        back = torch.empty(len(rows), dtype=torch.long)
        back[torch.tensor(rows)] = torch.arange(len(rows))
        return Features.concat(parts)[back]

    # Saving and loading ------------------------------------------------------------------------------------------

    def owns(self, name: str) -> bool:
        """Whether a run must keep the weight of this name: nobody else has it; a calibration has a file of its own."""
        if name.startswith("calibration."):
            return False
        return self.teacher.owns(name.removeprefix("teacher.")) if name.startswith("teacher.") else True

    def state_to_save(self) -> dict[str, Tensor]:
        """Weights a run must keep: the speech tower's, and the teacher's where they are its own."""
        own = {k: v for k, v in self.state_dict().items() if self.owns(k)}
        return {k: v.detach().contiguous() for k, v in own.items()}

    def save(self, folder: Path, configs: dict[str, Any]) -> None:
        """Writes ``model.safetensors`` and ``model.json`` into a run folder; the old ones stay until both are whole.

        Args:
            folder: the run.
            configs: "teacher" and "speech" sections, as plain values.
        """
        from safetensors.torch import save

        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "format": FORMAT,
            "lookhear": importlib.metadata.version("lookhear"),
            "compatibility": self.compatibility.model_dump(mode="json"),
            "evidence": self.evidence and {"words": list(self.evidence.names), "weight": self.evidence.weight},
            "head": self.head and {"words": list(self.head.names), **self.head.config.model_dump(mode="json")},
            **configs,
        }
        write_atomically(folder / "model.safetensors", save(self.state_to_save()))
        write_atomically(folder / "model.json", json.dumps(description, indent=2).encode())

    @staticmethod
    def load(folder: Path | str, calibrated: bool = True) -> Model:
        """The model of a run folder, ready to use.

        Args:
            calibrated: with the calibration that lies there; one that is to be made anew need not be readable.

        Raises:
            UserError: no run there, one of another format, or damaged files.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = Path(folder)
        path = folder / "model.json"
        if not path.is_file():
            raise UserError(
                f"{folder}: no trained model (model.json is missing)", "Give a folder `lookhear train` wrote."
            )
        try:
            description = json.loads(path.read_text())
            found = description["format"]
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}: damaged", "Train again or restore the file.") from None
        if found != FORMAT:
            raise UserError(
                f"{folder}: a run of format {found}, this LookHear reads format {FORMAT}",
                f"Use LookHear {description.get('lookhear', '(another version)')}, or train again.",
            )
        try:
            teacher_config = TypeAdapter(TeacherConfig).validate_python(description["teacher"])
            speech = description.get("speech")
            audio = TypeAdapter(SpeechTowerConfig).validate_python(speech) if speech else None
            compatibility = Compatibility.model_validate(description["compatibility"])
            told = description["evidence"]
            evidence = told and (tuple(map(str, told["words"])), float(told["weight"]))
            head = dict(description.get("head") or {})
            names = tuple(map(str, head.pop("words", ())))
            head_config = TagHead.Config.model_validate(head) if head else None
        except (KeyError, TypeError, ValueError, ValidationError) as e:
            raise UserError(
                f"{path}: not as this LookHear writes it ({str(e).splitlines()[0]})",
                f"Use LookHear {description.get('lookhear', '(another version)')}, or train again.",
            ) from None
        teacher = teacher_config.build()
        model = Model(teacher, audio.build(teacher.dim) if audio else None, compatibility)
        if evidence:
            model.evidence = WordEvidence(evidence[0], teacher.dim, evidence[1])
        if head_config is not None and model.audio is not None:
            model.head = TagHead(head_config, model.audio.width, names)
        try:
            missing, unexpected = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        except (OSError, SafetensorError, RuntimeError) as e:
            raise UserError(
                f"{folder}/model.safetensors: damaged ({(str(e) or type(e).__name__).splitlines()[0]})",
                "Train again or restore the file.",
            ) from None
        lacking = [k for k in missing if model.owns(k)]
        if lacking or unexpected:
            raise UserError(
                f"{folder}/model.safetensors does not fit model.json ({(lacking + list(unexpected))[0]} and others)",
                "The two files must come from one run.",
            )
        model.calibration = Calibration.load(folder) if calibrated else None
        return model.eval().requires_grad_(False)


def _modality(thing: Any) -> str:
    if isinstance(thing, np.ndarray):
        return "audio"
    if isinstance(thing, Image.Image):
        return "image"
    if not isinstance(thing, (str, Path)):
        raise UserError(f"embed was given a {type(thing).__name__}", "Give paths, samples, pictures or texts.")
    suffix = Path(thing).suffix.lower()
    if isinstance(thing, Path) or (suffix in _AUDIO | _IMAGE and Path(thing).is_file()):
        return "image" if suffix in _IMAGE else "audio"  # recordings may have any name: libsndfile looks inside
    return "text"


def write_atomically(path: Path, data: bytes) -> None:
    """Writes beside the file and renames, so that the old file survives a full disk or a crash.

    Raises:
        UserError: no space left, or the folder cannot be written.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise UserError(
            f"{path}: cannot be written ({e.strerror or e})",
            "Free some space or choose another folder; what was saved before is kept.",
        ) from None
