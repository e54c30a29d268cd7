"""An ELAN project: .eaf documents, the recordings that they link, and photographs.

A link that does not lead into the project's folder (it was made on another machine) means the file of the same name
beside the document, else in the folder ``media``, else the only one of that name in the project. Where only a video is
linked, a recording of the video's stem, or of the document's, stands for it.

Options: those of ``praat``, and ``media``, a folder of recordings (from the project's folder, or any path). A tier's
PARTICIPANT is its speaker.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote
from xml.parsers import expat

from lookhear.data.annotations import read_annotation
from lookhear.data.corpora import Raw, annotated
from lookhear.data.corpora.annotated import ByName, Project, Recorded, open_project, raw_project
from lookhear.data.corpora.tree import AUDIO, Tree, split_path
from lookhear.data.items import Media
from lookhear.errors import UserError

__all__ = ["open_raw", "recognises"]

ENDINGS = frozenset({".eaf"})
MEND = "Open it in ELAN and save it again."


def recognises(source: Path) -> bool:
    return annotated.recognises(source, ENDINGS)


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``.

    Raises:
        UserError: an option that there is not, no document, no recording, no such folder of media.
    """
    project = open_project(source, options, ENDINGS, "elan", further=("media",))
    places = [_Place(project.tree, ByName(project.audio))]
    if options.get("media"):
        places.insert(0, _media(project, options["media"]))
    if not project.audio and not places[0].tree.of(AUDIO):
        raise UserError(
            f"{project.tree.root}: no recording in it", "Put the recordings beside the documents, or name media=FOLDER."
        )
    return raw_project(project, partial(_read, places))


@dataclass(frozen=True)
class _Link:
    """A linked media file.

    Attributes:
        urls: that of its place beside the document first.
        origin: the time in it, in seconds, that the document's time 0 is.
    """

    urls: tuple[str, ...]
    origin: float


@dataclass(frozen=True)
class _Head:
    """What a document tells of its media and tiers."""

    links: list[_Link] = field(default_factory=list)
    participants: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Place:
    """A folder tree with recordings."""

    tree: Tree
    named: ByName


def _media(project: Project, name: str) -> _Place:
    """The folder that the option ``media`` names.

    Raises:
        UserError: there is none.
    """
    root = project.tree.root.resolve()
    for folder in ((root / name).resolve(), Path(name).resolve()):
        if folder.is_dir() and folder.is_relative_to(root):
            inside = folder.relative_to(root).as_posix()
            return _Place(project.tree, ByName(p for p in project.audio if inside == "." or p.startswith(f"{inside}/")))
        if folder.is_dir():
            tree = Tree(folder)
            return _Place(tree, ByName(tree.of(AUDIO)))
    raise UserError(f"media={name}: no such folder", "Name the folder of the recordings.")


def _read(places: list[_Place], project: Project, path: str) -> Recorded:
    document = project.tree.path(path)
    annotation = read_annotation(document)
    head = _head(document)
    tree, audio, link = _recording(places, project, path, head)
    # Times of an Annotation are those of the first media file; another may have begun earlier or later.
    origin = 0.0 if link is None else link.origin - head.links[0].origin
    media = Media(path=tree.path(audio), name=audio)
    return Recorded(annotation, media, origin, head.participants, audio if tree is project.tree else "")


def _recording(places: list[_Place], project: Project, path: str, head: _Head) -> tuple[Tree, str, _Link | None]:
    """The tree and the relative path of a document's recording, and the link that led there.

    Raises:
        UserError: there is none, or several could be meant.
    """
    folder = split_path(path)[0]
    own = places[-1].named
    for link in head.links:
        for name in _paths(link):
            if (found := own.at(folder, name) or own.at(folder, name.rpartition("/")[2])) is not None:
                return project.tree, found, link
    for link in head.links:
        for name in _names(link):
            if (hit := _called(places, name)) is not None:
                return *hit, link
    for link in head.links:
        for stem in _stems(link):
            beside = project.sounds.of(folder, unicodedata.normalize("NFC", stem))
            if len(beside) == 1:
                return project.tree, beside[0], link
            if (hit := _called(places, stem)) is not None:
                return *hit, link
    found = project.recording(path)
    if found is not None:
        return project.tree, found, None
    linked = ", ".join(repr(next(_names(link), "")) for link in head.links[:4])
    raise UserError(
        f"the recording is missing (linked: {linked})"
        if linked
        else "it links no media, and no recording has its name",
        "Put it beside the document, or name its folder: media=FOLDER.",
    )


def _called(places: list[_Place], name: str) -> tuple[Tree, str] | None:
    """The only recording of a name, in the first place that has one.

    Raises:
        UserError: there are several.
    """
    for place in places:
        hits = place.named.called(name)
        if len(hits) > 1:
            raise UserError(f"{len(hits)} recordings are called {name!r}: {', '.join(hits[:3])}", "Link the right one.")
        if hits:
            return place.tree, hits[0]
    return None


def _paths(link: _Link) -> Iterator[str]:
    """Paths that a link may mean, as written and with %20 and the like made out; ``file:`` and \\ put right."""
    for url in link.urls:
        plain = re.sub(r"^file:(//(?=/))?", "", url.replace("\\", "/"), flags=re.IGNORECASE)
        yield from dict.fromkeys((plain, unquote(plain)))


def _names(link: _Link) -> Iterator[str]:
    yield from dict.fromkeys(name for path in _paths(link) if (name := path.rpartition("/")[2]))


def _stems(link: _Link) -> Iterator[str]:
    yield from dict.fromkeys(name.rpartition(".")[0] or name for name in _names(link))


def _head(path: Path) -> _Head:
    """Media and participants of a document.

    Raises:
        UserError: it is not XML, or has a document type, whose entities could be a trap.
    """
    head = _Head()
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise UserError(f"{path}: a document type, which ELAN does not write", MEND)

    def begin(tag: str, attributes: dict[str, str]) -> None:
        if tag == "TIER" and attributes.get("PARTICIPANT", "").strip():
            head.participants[attributes.get("TIER_ID", "")] = attributes["PARTICIPANT"].strip()
        elif tag == "MEDIA_DESCRIPTOR":
            urls = (attributes.get(k, "") for k in ("RELATIVE_MEDIA_URL", "MEDIA_URL"))
            head.links.append(_Link(tuple(u for u in urls if u), _origin(path, attributes.get("TIME_ORIGIN", "0"))))

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = begin
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as e:
        raise UserError(f"{path}, line {e.lineno}: not XML ({expat.ErrorString(e.code)})", MEND) from None
    except (LookupError, ValueError) as e:
        raise UserError(f"{path}: an encoding that is not known ({e})", "Save it as UTF-8.") from None
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror or e})", "Check the file.") from None
    return head


def _origin(path: Path, text: str) -> float:
    """TIME_ORIGIN in seconds.

    Raises:
        UserError: it is not a whole number of milliseconds.
    """
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", text.strip()):
        raise UserError(f"{path}: a TIME_ORIGIN of {text[:40]!r}", MEND)
    return int(text) / 1000
