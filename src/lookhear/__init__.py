"""LookHear: search speech with any written word, learned only from pictures and what people say about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lookhear.errors import UserError

if TYPE_CHECKING:
    from lookhear.api import calibrate, embed, evaluate, load
    from lookhear.data.read import open_corpus
    from lookhear.data.schema import Corpus
    from lookhear.recipe import Recipe
    from lookhear.search.index import Where, open_index
    from lookhear.search.searcher import Searcher
    from lookhear.search.spot import spot
    from lookhear.search.update import index_files
    from lookhear.training.train import train

    __version__: str

__all__ = [
    "Corpus",
    "Recipe",
    "Searcher",
    "UserError",
    "Where",
    "__version__",
    "calibrate",
    "embed",
    "evaluate",
    "index_files",
    "load",
    "open_corpus",
    "open_index",
    "spot",
    "train",
]

_HOMES = {
    "Corpus": "lookhear.data.schema",
    "Recipe": "lookhear.recipe",
    "Searcher": "lookhear.search.searcher",
    "Where": "lookhear.search.index",
    "calibrate": "lookhear.api",
    "embed": "lookhear.api",
    "evaluate": "lookhear.api",
    "load": "lookhear.api",
    "open_corpus": "lookhear.data.read",
    "index_files": "lookhear.search.update",
    "open_index": "lookhear.search.index",
    "spot": "lookhear.search.spot",
    "train": "lookhear.training.train",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first asked for: `import lookhear` and `lookhear --help` load no torch."""
    import importlib

    if name == "__version__":
        import importlib.metadata

        value: Any = importlib.metadata.version("lookhear")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'lookhear' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
