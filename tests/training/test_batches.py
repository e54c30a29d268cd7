"""What meets in a batch: everything once an epoch, like lengths together, right pictures, the same for all ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile as sf
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.audio import load_audio, samples_of
from lookhear.core import Features, Padded
from lookhear.data.augment import Augment
from lookhear.data.read import open_corpus
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.errors import UserError
from lookhear.models.speech import LocalTower
from lookhear.training import batches as module
from lookhear.training.batches import PictureBatches, SpeechBatches
from lookhear.training.mels import StreamedMels, frames_of, log_mels

N = 40
LENGTHS = np.random.default_rng(0).integers(3, 60, N)
GROUPS = np.random.default_rng(1).integers(0, 7, N)
PICTURE_GROUPS = np.arange(21) % 7


def speech(n: int = N, batch_size: int = 4, seed: int = 0, augment: Augment | None = None) -> SpeechBatches:
    """Recording i holds the number i in every frame, picture p is p times the unit vector along its own axis."""
    mels = [torch.full((5, int(t)), float(i)) for i, t in enumerate(LENGTHS[:n])]
    return SpeechBatches(
        mels,
        GROUPS[:n],
        [f"r{i}" for i in range(n)],
        torch.eye(21),
        PICTURE_GROUPS,
        batch_size,
        seed,
        augment or Augment(),
    )


def rows_of(source: SpeechBatches, epoch: int) -> list[list[int]]:
    out = []
    for index in range(source.steps_per_epoch):
        out.append([int(i[1:]) for i in source.batch(epoch, index).ids])
    return out


@settings(max_examples=30)
@given(n=st.integers(2, N), batch_size=st.integers(2, 9), epoch=st.integers(0, 3))
def test_each_recording_at_most_once_an_epoch_and_only_the_rest_left_out(n: int, batch_size: int, epoch: int) -> None:
    if n < batch_size:
        with pytest.raises(UserError, match="fewer than a batch"):
            speech(n, batch_size)
        return
    source = speech(n, batch_size)
    batches = rows_of(source, epoch)
    seen = [r for rows in batches for r in rows]
    assert {len(rows) for rows in batches} == {batch_size}
    assert len(set(seen)) == len(seen) == n // batch_size * batch_size


def test_all_are_seen_over_the_epochs() -> None:
    source = speech(N, 9)  # 40 = 4 × 9 + 4: each epoch leaves out another four
    assert {r for epoch in range(8) for rows in rows_of(source, epoch) for r in rows} == set(range(N))


def test_like_lengths_meet() -> None:
    source = speech()
    spread = [np.ptp(LENGTHS[rows]) for rows in rows_of(source, 0)]
    order = np.random.default_rng(2).permutation(N).reshape(-1, 4)
    assert np.mean(spread) < 0.3 * np.mean([np.ptp(LENGTHS[rows]) for rows in order])


def test_seeds_and_epochs_decide() -> None:
    assert rows_of(speech(seed=3), 1) == rows_of(speech(seed=3), 1)
    assert rows_of(speech(seed=3), 1) != rows_of(speech(seed=3), 2)
    assert rows_of(speech(seed=3), 1) != rows_of(speech(seed=4), 1)
    a, b = (speech(augment=Augment(noise=(0, 10), speed=0.1)).batch(2, 5) for _ in range(2))
    assert torch.equal(a.inputs["audio"].values, b.inputs["audio"].values)  # type: ignore[union-attr]
    assert torch.equal(a.inputs["image"].pooled, b.inputs["image"].pooled)  # type: ignore[union-attr]


def test_batches_may_be_asked_in_any_order() -> None:
    forward, backward = speech(), speech()
    places = [(e, i) for e in range(4) for i in range(forward.steps_per_epoch)]
    first = {p: forward.batch(*p).ids for p in places}
    assert {p: backward.batch(*p).ids for p in reversed(places)} == first


def test_what_a_batch_holds() -> None:
    source, drawn = speech(), set()
    for epoch in range(20):
        for index in range(source.steps_per_epoch):
            batch = source.batch(epoch, index)
            mel, image = batch.inputs["audio"], batch.inputs["image"]
            assert isinstance(mel, Padded)
            assert isinstance(image, Features)
            for k, name in enumerate(batch.ids):
                row = int(name[1:])
                picture = int(image.pooled[k].argmax())
                drawn.add(picture)
                assert PICTURE_GROUPS[picture] == GROUPS[row] == int(batch.group[k])
                assert int(mel.mask[k].sum()) == LENGTHS[row]  # type: ignore[index]
                assert (mel.values[k][:, mel.mask[k]] == row).all()  # type: ignore[index]
                assert not mel.values[k][:, ~mel.mask[k]].any()  # type: ignore[index]
            assert mel.values.shape[2] == max(LENGTHS[int(i[1:])] for i in batch.ids)
    assert drawn == {p for p in range(21) if PICTURE_GROUPS[p] in GROUPS}  # every picture of a group has its turn


@pytest.mark.parametrize("world", [2, 4])
def test_the_ranks_shares_are_the_batch(world: int) -> None:
    source = speech()
    for index in range(source.steps_per_epoch):
        whole = source.batch(1, index)
        shares = [speech().batch(1, index, rank, world) for rank in range(world)]
        for rank, share in enumerate(shares):
            assert list(share.ids) == list(whole.ids)[rank::world]
            assert torch.equal(share.inputs["image"].pooled, whole.inputs["image"].pooled[rank::world])  # type: ignore[union-attr]
            assert torch.equal(share.group, whole.group[rank::world])


def test_every_picture_serves_as_a_negative() -> None:
    source = speech()
    for index in (0, 3):
        bank, groups = source.batch(1, index).more["image"]
        assert torch.equal(bank.pooled, torch.eye(21))  # type: ignore[union-attr]
        assert groups.tolist() == PICTURE_GROUPS.tolist()


def test_a_large_corpus_lends_a_random_part_of_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.BANK == 8192
    monkeypatch.setattr(module, "BANK", 8)
    seen = set()
    for index in range(speech().steps_per_epoch):
        bank, groups = speech().batch(0, index).more["image"]
        rows = bank.pooled.argmax(1).tolist()  # type: ignore[union-attr]
        assert len(set(rows)) == len(rows) == 8
        assert groups.tolist() == [int(PICTURE_GROUPS[r]) for r in rows]
        for rank in (0, 1):  # every rank has the same bank
            share, _ = speech().batch(0, index, rank, 2).more["image"]
            assert torch.equal(share.pooled, bank.pooled)  # type: ignore[union-attr]
        seen.update(rows)
    assert len(seen) > 8


def test_recordings_without_a_picture_are_named() -> None:
    mels = [torch.zeros(5, 9)] * 3
    with pytest.raises(UserError, match=r"1 recordings have no picture \(b is the first\)"):
        SpeechBatches(mels, np.array([0, 5, 0]), ["a", "b", "c"], torch.eye(2), np.array([0, 1]), 2, 0, Augment())


def test_log_mels_are_the_towers_own_in_the_corpus_s_order(tmp_path: Path) -> None:
    tower = LocalTower.Config(width=8).build(4)
    waves = [
        np.random.default_rng(i).standard_normal(n).astype(np.float32) * 0.1 for i, n in enumerate((4000, 900, 2500))
    ]
    for i, wave in enumerate(waves):
        sf.write(tmp_path / f"{i}.wav", wave, 16000, subtype="FLOAT")
    media = [{"path": f"{i}.wav", "bytes": None} for i in range(3)]
    rows = [{"id": "t", "text": "no recording"}, *[{"id": str(i), "audio": m} for i, m in enumerate(media)]]
    corpus = Corpus(pa.Table.from_pylist(rows, schema=SCHEMA), tmp_path, "c")
    for wave, mel in zip(waves, log_mels(tower, corpus), strict=True):
        alone = tower.extract(Padded(torch.from_numpy(wave)[None])).values[0]
        assert mel.shape == alone.shape
        assert torch.allclose(mel.float(), alone, atol=2e-2)  # half precision
    (tmp_path / "1.wav").write_bytes(b"")
    with pytest.raises(UserError, match="recording 1: empty"):
        log_mels(tower, corpus)


@pytest.fixture
def heard(tiny_book: Path) -> tuple[LocalTower, Corpus]:
    return LocalTower.Config(width=8).build(4), open_corpus(tiny_book)


def streamed_and_kept(heard: tuple[LocalTower, Corpus], batch_size: int = 4) -> tuple[SpeechBatches, SpeechBatches]:
    tower, corpus = heard
    rows = corpus.recordings
    lengths = frames_of(corpus, rows)
    ids = [corpus.column("id")[i] for i in rows]
    groups = np.arange(len(rows)) % 7
    return tuple(  # type: ignore[return-value]
        SpeechBatches(
            mels, groups, ids, torch.eye(21), PICTURE_GROUPS, batch_size, 0, Augment(speed=0.1), lengths=lengths
        )
        for mels in (StreamedMels(tower, corpus, rows), log_mels(tower, corpus, rows))
    )


def test_frames_are_known_before_anything_is_decoded(heard: tuple[LocalTower, Corpus], tmp_path: Path) -> None:
    tower, corpus = heard
    rows = corpus.recordings
    real = [m.shape[1] for m in log_mels(tower, corpus, rows)]
    assert frames_of(corpus, rows).tolist() == real
    bare = Corpus(corpus.table.drop_columns(["seconds"]), corpus.root, corpus.name)
    assert frames_of(bare, rows).tolist() == real
    for rate in (8000, 11025, 44100, 48000):
        sf.write(tmp_path / "a.wav", np.full(rate // 3, 0.1), rate)
        assert samples_of(tmp_path / "a.wav") == len(load_audio(tmp_path / "a.wav"))


def test_streamed_batches_are_the_kept_ones(heard: tuple[LocalTower, Corpus]) -> None:
    streamed, kept = streamed_and_kept(heard)
    places = [(0, 0), (0, 1), (0, streamed.steps_per_epoch - 1), (1, 0), (0, 2), (3, 1)]  # in no order, as after a stop
    for epoch, index in places:
        for rank, world in ((0, 1), (1, 2)):
            a, b = streamed.batch(epoch, index, rank, world), kept.batch(epoch, index, rank, world)
            assert a.ids == b.ids
            assert torch.equal(a.inputs["audio"].values, b.inputs["audio"].values)  # type: ignore[union-attr]


def test_what_comes_next_is_decoded_ahead(heard: tuple[LocalTower, Corpus], monkeypatch: pytest.MonkeyPatch) -> None:
    streamed, _ = streamed_and_kept(heard)
    made: list[int] = []
    mels = streamed.mels
    assert isinstance(mels, StreamedMels)
    make = mels.make
    monkeypatch.setattr(mels, "make", lambda i: (made.append(i), make(i))[1])
    for index in range(streamed.steps_per_epoch):
        streamed.batch(0, index)
    assert set(rows_in(streamed, 0)) <= set(made)
    assert max(made.count(i) for i in set(made)) <= 2  # once in this epoch, and once ahead of the next


def rows_in(source: SpeechBatches, epoch: int) -> list[int]:
    return [int(i) for batch in source._order(epoch) for i in batch]


def test_a_recording_that_cannot_be_decoded_ahead_is_named_when_its_batch_comes(tmp_path: Path) -> None:
    for i in range(4):
        sf.write(tmp_path / f"{i}.wav", np.full(1600, 0.1), 16000)
    rows = [{"id": str(i), "audio": {"path": f"{i}.wav", "bytes": None}} for i in range(4)]
    corpus = Corpus(pa.Table.from_pylist(rows, schema=SCHEMA), tmp_path, "c")
    mels = StreamedMels(LocalTower.Config(width=8).build(4), corpus, corpus.recordings)
    (tmp_path / "2.wav").write_bytes(b"")
    mels.ahead(range(4), 8)
    assert mels[1].shape == (40, 11)
    with pytest.raises(UserError, match="recording 2: empty"):
        mels[2]


def test_some_have_pictures_and_some_their_own_texts(heard: tuple[LocalTower, Corpus]) -> None:
    tower, corpus = heard
    rows = corpus.recordings
    ids = [corpus.column("id")[i] for i in rows]
    groups = np.arange(len(rows)) % 7
    pictured = np.arange(len(rows)) % 3 != 0
    groups[~pictured] = 99  # a group without pictures: nobody asks for them
    texts = {i: torch.eye(21)[i % 21] for i in range(0, len(rows), 2)}
    tags = {"tags": torch.rand(len(PICTURE_GROUPS), 2)}
    source = SpeechBatches(
        log_mels(tower, corpus),
        groups,
        ids,
        torch.eye(21),
        PICTURE_GROUPS,
        4,
        0,
        Augment(),
        tags,
        None,
        pictured,
        texts,
    )
    place = {name: i for i, name in enumerate(ids)}
    for index in range(source.steps_per_epoch):
        batch = source.batch(0, index)
        at = [place[name] for name in batch.ids]
        assert batch.present["image"].tolist() == batch.present["tags"].tolist() == pictured[at].tolist()
        assert batch.present["text"].tolist() == [i in texts for i in at]
        said = batch.inputs["text"].pooled  # type: ignore[union-attr]
        for vector, i in zip(said, at):
            assert torch.equal(vector, texts.get(i, torch.zeros(21)))
        shown = batch.inputs["image"].pooled.argmax(1).numpy()  # type: ignore[union-attr]
        assert (PICTURE_GROUPS[shown] == groups[at])[pictured[at]].all()
    whole = SpeechBatches(
        log_mels(tower, corpus), np.arange(len(rows)) % 7, ids, torch.eye(21), PICTURE_GROUPS, 4, 0, Augment()
    )
    assert not whole.batch(0, 0).present
    assert "text" not in whole.batch(0, 0).inputs


def test_log_mels_of_the_first_epoch_are_read_from_the_file_in_the_next(
    heard: tuple[LocalTower, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower, corpus = heard
    given = log_mels(tower, corpus)
    nbytes = [2 * mel.numel() for mel in given]
    for most, kept in ((1.0, len(given)), (sum(nbytes[:3]) / 1e9, 3)):
        mels = StreamedMels(tower, corpus, corpus.recordings, folder=tmp_path, most=most)
        for _ in range(2):
            assert all(torch.equal(a, b) for a, b in zip(mels, given, strict=True))
        with monkeypatch.context() as deaf:
            deaf.setattr("lookhear.training.mels.load_audio", lambda *_, **__: pytest.fail("decoded again"))
            assert all(torch.equal(mels[i], given[i]) for i in range(kept))
    assert not list(tmp_path.iterdir())  # the file has no name


def test_a_full_disk_only_means_decoding_again(
    heard: tuple[LocalTower, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    tower, corpus = heard
    monkeypatch.setattr("os.pwrite", full)
    mels = StreamedMels(tower, corpus, corpus.recordings, folder=tmp_path, most=1.0)
    for _ in range(2):
        assert all(torch.equal(a, b) for a, b in zip(mels, log_mels(tower, corpus), strict=True))


@settings(max_examples=40)
@given(n=st.integers(1, 400), size=st.integers(1, 9), window=st.integers(10, 90), epoch=st.integers(0, 2))
def test_a_large_corpus_is_shuffled_by_blocks(n: int, size: int, window: int, epoch: int) -> None:
    lengths = np.random.default_rng(n).integers(1, 50, n)
    batches = module.epoch_order(lengths, size, 5, epoch, window)
    again = module.epoch_order(lengths, size, 5, epoch, window)
    assert [b.tolist() for b in batches] == [b.tolist() for b in again]
    seen = [i for b in batches for i in b.tolist()]
    assert len(seen) == len(set(seen)) == len(batches) * size
    assert len(batches) >= (n - window // size * size) // size - n // window - 1
    if n > window:
        parts = [set(seen[i : i + window // size * size]) for i in range(0, len(seen), window // size * size)]
        blocks = np.array_split(np.arange(n), -(-n * module.BLOCKS // window))
        touched = [sum(bool(part & set(b.tolist())) for b in blocks) for part in parts]
        assert max(touched) <= 1.1 * module.BLOCKS + 3


# Pictures and their texts --------------------------------------------------------------------------------------------


def pictures(**options: float) -> PictureBatches:
    return PictureBatches(
        torch.arange(24.0)[:, None].expand(-1, 3),
        np.arange(24) % 8,
        torch.arange(60.0)[:, None],
        np.arange(60) % 6,  # pictures of the groups 6 and 7 have no text
        5,
        0,
        **options,  # type: ignore[arg-type]
    )


def test_pictures_meet_texts_of_their_group() -> None:
    source = pictures()
    assert source.steps_per_epoch == 18 // 5
    said = set()
    for epoch in range(30):
        seen: list[int] = []
        for index in range(source.steps_per_epoch):
            batch = source.batch(epoch, index)
            image, text = (
                batch.inputs["image"].values[:, 0].int().tolist(),
                batch.inputs["text"].values[:, 0].int().tolist(),
            )  # type: ignore[union-attr]
            seen += image
            said.update(text)
            assert [i % 8 for i in image] == [t % 6 for t in text] == batch.group.tolist()
            shares = [pictures().batch(epoch, index, rank, 2) for rank in (0, 1)]
            assert [s.inputs["image"].values[:, 0].int().tolist() for s in shares] == [image[0::2], image[1::2]]  # type: ignore[union-attr]
            assert [s.inputs["text"].values[:, 0].int().tolist() for s in shares] == [text[0::2], text[1::2]]  # type: ignore[union-attr]
        assert len(set(seen)) == 15
    assert len(said) == 60


@pytest.mark.parametrize("size", [512, 7])
def test_further_texts_serve_as_negatives(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    assert module.TEXT_BANK == 512
    monkeypatch.setattr(module, "TEXT_BANK", size)
    seen = set()
    for index in range(3):
        bank, groups = pictures().batch(0, index).more["text"]
        texts = bank.values[:, 0].int().tolist()  # type: ignore[union-attr]
        assert len(set(texts)) == len(texts) == min(size, 60)
        assert groups.tolist() == [t % 6 for t in texts]
        share, _ = pictures().batch(0, index, 1, 2).more["text"]
        assert torch.equal(share.values, bank.values)  # type: ignore[union-attr]
        seen.update(texts)
    assert len(seen) > size or size > 60


def test_moved_pictures_are_the_same_pictures_moved() -> None:
    shown = torch.zeros(8, 3, 6, 6, dtype=torch.uint8)
    shown[:, :, 2, 1] = 255
    source = PictureBatches(shown, np.arange(8), torch.zeros(8, 1), np.arange(8), 4, 0, flip=True, shift=1)
    places = set()
    for epoch in range(150):
        x = source.batch(epoch, 0).inputs["image"].values  # type: ignore[union-attr]
        assert x.shape == (4, 3, 6, 6)
        assert (x.sum((2, 3)) == 1).all()
        places |= {(int(r), int(c)) for r, c in (divmod(int(p), 6) for p in x[:, 0].flatten(1).argmax(1))}
    assert places == {(r, c) for r in (1, 2, 3) for c in (0, 1, 2, 3, 4, 5)}
    still = PictureBatches(shown, np.arange(8), torch.zeros(8, 1), np.arange(8), 4, 0).batch(0, 0)
    assert torch.equal(still.inputs["image"].values, shown[:4].float() / 255)  # type: ignore[union-attr]


def test_noise_on_vectors_is_as_long_as_asked() -> None:
    vectors = torch.randn(64, 500, generator=torch.Generator().manual_seed(0)) * 9
    source = PictureBatches(vectors, np.arange(64), torch.zeros(64, 1), np.arange(64), 64, 0, noise=0.5)
    batch = source.batch(0, 0)
    unit = torch.nn.functional.normalize(vectors, dim=-1)[batch.group]
    noise = batch.inputs["image"].values - unit  # type: ignore[union-attr]
    assert float(noise.norm(dim=-1).mean()) == pytest.approx(0.5, rel=0.05)


def test_patches_come_with_their_picture() -> None:
    """Picture p has p in all its patches, of which the mask leaves out the last one of even pictures."""
    numbers = torch.arange(21)
    local = numbers[:, None, None].expand(21, 4, 21).half()
    mask = torch.ones(21, 4, dtype=torch.bool)
    mask[::2, 3] = False
    mels = [torch.zeros(5, int(t)) for t in LENGTHS]
    source = SpeechBatches(
        mels,
        GROUPS,
        [f"r{i}" for i in range(N)],
        torch.eye(21),
        PICTURE_GROUPS,
        4,
        0,
        Augment(),
        patches=Features(torch.eye(21), local, mask, (2, 2)),
    )
    batch = source.batch(0, 1)
    image = batch.inputs["image"]
    assert isinstance(image, Features)
    shown = image.pooled.argmax(1)
    assert image.step == (2, 2)
    assert image.local.dtype == torch.float32
    assert torch.equal(image.local, shown[:, None, None].expand(4, 4, 21).float())
    assert image.mask[:, 3].tolist() == (shown % 2 == 1).tolist()
    assert [PICTURE_GROUPS[p] for p in shown.tolist()] == batch.group.tolist()
    plain = speech().batch(0, 1).inputs["image"]
    assert isinstance(plain, Features)
    assert torch.equal(plain.pooled, image.pooled)  # the same pictures are drawn
    assert torch.equal(batch.take(torch.tensor([2])).inputs["image"].local[0], image.local[2])  # type: ignore[union-attr]
