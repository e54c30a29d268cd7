"""Speech synthesis: every word has its time, and the time is where the word sounds."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lookhear.data import speak
from lookhear.data.speak import RATE, Mark, Synthesiser, align
from lookhear.data.voices import TEST_VOICES, TRAIN_VOICES, clean, perturb, speak_varied, voice_captions
from lookhear.errors import UserError

pytest.importorskip("espeakng_loader", reason="needs the 'speech' extra")

CAPTION = "there is a small red boat on the beach and a dog in the forest at night"


@pytest.fixture(scope="module")
def voice() -> Synthesiser:
    return Synthesiser()


def _loudness(wave: np.ndarray, start: float, end: float) -> float:
    part = wave[round(start * RATE) : round(end * RATE)].astype(np.float64)
    return float(np.sqrt((part**2).mean()))


@pytest.mark.parametrize("name", [*TRAIN_VOICES, *TEST_VOICES])
def test_every_word_in_order_and_audible(voice: Synthesiser, name: str) -> None:
    wave, words = voice.say(CAPTION, name, rate=160)
    assert wave.dtype == np.float32
    assert np.abs(wave).max() <= 1
    assert [w for w, _, _ in words] == CAPTION.split()
    times = [t for _, s, e in words for t in (s, e)]
    assert times == sorted(times), "words follow one another"
    assert all(e - s > 0.02 for _, s, e in words)
    assert times[-1] <= len(wave) / RATE
    # 0.1 s of silence on either side, and sound within every word of substance.
    assert np.abs(wave[: round(0.09 * RATE)]).max() < 0.01
    floor = _loudness(wave, 0, 0.09)
    for word, start, end in words:
        if len(word) > 2:
            assert _loudness(wave, start, end) > max(0.004, 10 * floor), word


def test_times_are_where_the_sound_is(voice: Synthesiser) -> None:
    """Between two sentences there is silence exactly between the end of the one and the start of the other."""
    wave, words = voice.say("Red boat. Blue moon. Green house.", "en-us")
    assert [w for w, _, _ in words] == ["Red", "boat.", "Blue", "moon.", "Green", "house."]
    for (_, _, end), (_, start, _) in ((words[1], words[2]), (words[3], words[4])):
        assert start - end > 0.1
        assert _loudness(wave, end + 0.02, start - 0.03) < 0.05 * _loudness(wave, words[0][1], words[-1][2])
        assert _loudness(wave, start, start + 0.1) > 0.02


def test_times_survive_resampling_and_rate(voice: Synthesiser) -> None:
    """After a pause the sound sets in at the stated start, however far into the recording that is (± 30 ms)."""
    for rate in (120, 175, 230):
        wave, words = voice.say("A very long sentence that goes on and on and on for a while. Moon", "en-us", rate=rate)
        before = words[-2][2] + 0.05  # surely in the pause
        loud = np.abs(wave[round(before * RATE) :]) > 0.02
        assert before + int(loud.argmax()) / RATE == pytest.approx(words[-1][1], abs=0.03)


def test_merged_pairs_are_divided_where_their_phonemes_meet(voice: Synthesiser) -> None:
    for pair in ("on the", "in the", "of the", "it is"):
        _, words = voice.say(f"look {pair} house", "en-us")
        (_, s1, e1), (_, s2, e2) = words[1], words[2]
        assert e1 == s2
        assert 0.25 < (e1 - s1) / (e2 - s1) < 0.75


def test_align_by_hand() -> None:
    text = "on the beach it is - 25 cats"
    word, phoneme = (lambda p, s: Mark(1, p, s, False)), (lambda s: Mark(7, 0, s, False))
    marks = [
        # "on the" is one event of four phonemes, 0–400: O n | D @
        *(word(1, 0), *(phoneme(s) for s in (0, 90, 210, 330)), word(8, 400), phoneme(400), Mark(7, 0, 700, True)),
        # "it is": the second event lies within the first word's letters
        *(word(14, 900), word(15, 1000), word(22, 1200), word(23, 1300), word(25, 1500), Mark(5, 29, 1900, False)),
    ]
    assert align(text, marks, 2000) == [
        ("on", 0, 210),
        ("the", 210, 400),
        ("beach", 400, 700),
        ("it", 900, 1000),
        ("is", 1000, 1200),
        ("-", 1200, 1200),
        ("25", 1200, 1500),
        ("cats", 1500, 1900),
    ]
    assert align("", marks, 2000) == []


def test_random_silence_is_kept_within_its_range(voice: Synthesiser) -> None:
    rng = np.random.default_rng(0)
    leads, tails = [], []
    for _ in range(12):
        wave, words = voice.say("red boat", "en", rng=rng)
        leads.append(words[0][1])
        tails.append(len(wave) / RATE - words[-1][2])
    for silence in (leads, tails):
        assert min(silence) > 0.045
        assert max(silence) < 0.305
        assert np.std(silence) > 0.02


def test_mistakes_are_named(voice: Synthesiser, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="en-gb"):
        voice.say("boat", "en-gb")
    with pytest.raises(UserError, match="nothing to say"):
        voice.say("  ...  ", "en")
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match="pip install"):
        speak._Engine()


def test_voice_lists() -> None:
    assert len(TRAIN_VOICES) == 65
    assert len(TEST_VOICES) == 9
    assert len(set(TRAIN_VOICES) | set(TEST_VOICES)) == len(TRAIN_VOICES) + len(TEST_VOICES)
    train, test = ({v.split("+")[1] for v in voices if "+" in v} for voices in (TRAIN_VOICES, TEST_VOICES))
    assert not train & test, "no test voice has a variant of a training voice"
    heard, tested = ({v.split("+")[0] for v in voices} for voices in (TRAIN_VOICES, TEST_VOICES))
    assert tested <= heard, "test voices are new speakers of accents that training hears"


def test_rates_are_drawn_from_150_to_230_words_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []

    def say(
        self: Synthesiser, text: str, voice: str, rate: int, *_: int, rng: np.random.Generator
    ) -> tuple[object, ...]:
        rates.append(rate)
        return np.zeros(1600, np.float32), []

    monkeypatch.setattr(Synthesiser, "say", say)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        speak_varied("red boat", "en", rng, 0.0)
    assert (min(rates), max(rates)) == (150, 230)
    assert np.mean(rates) == pytest.approx(190, abs=2)


def test_perturb_keeps_time_length_and_range() -> None:
    rng = np.random.default_rng(0)
    wave = np.zeros(16_000, np.float32)
    wave[5000:5200] = 0.5 * np.sin(np.arange(200) / 3)
    assert np.array_equal(perturb(wave, rng, 0.0), wave)
    for _ in range(30):
        out = perturb(wave, rng, 1.0)
        assert out.shape == wave.shape
        assert out.dtype == np.float32
        assert np.abs(out).max() <= 10 ** (-1 / 20) + 1e-6
        lags = np.correlate(out[4000:6500], wave[5000:5200], mode="valid")
        assert abs(int(np.abs(lags).argmax()) - 1000) <= 3, "the direct sound stays where it was"


def test_perturb_noise_is_within_the_stated_range() -> None:
    """SNR by hand: a wave without reverberation's overlap, noise measured where the wave is silent before it."""
    rng = np.random.default_rng(1)
    wave = np.zeros(32_000, np.float32)
    wave[16_000:] = 0.3 * rng.standard_normal(16_000).astype(np.float32)
    ratios = []
    for _ in range(40):
        out = perturb(wave, rng, 1.0).astype(np.float64)
        noise = (out[:15_000] ** 2).mean()
        ratios.append(10 * np.log10(((out**2).mean() - noise) / noise))
    assert min(ratios) > 7  # babble comes and goes, so a stretch differs from its mean
    assert max(ratios) < 34
    assert np.std(ratios) > 3


def test_voice_captions_any_number_of_workers() -> None:
    texts = [(f"id{i}", f"Two Dogs, running: over the {c} grass!") for i, c in enumerate(("green", "red", "blue"))]
    alone = list(voice_captions(texts, seed=3, workers=0, progress=False))
    two = list(voice_captions(texts, seed=3, workers=2, progress=False))
    assert [(i, v) for i, _, _, v in alone] == [(i, v) for i, _, _, v in two]
    for (_, a, words, _), (_, b, _, _) in zip(alone, two):
        assert [w for w, _, _ in words][:3] == ["two", "dogs", "running"]
        assert abs(len(a) - len(b)) < 0.05 * RATE
    assert clean("A dog's t-shirt — “nice”, 25 %") == "a dog's t-shirt nice 25"
    with pytest.raises(UserError, match="id9"):
        list(voice_captions([("id9", "?!")], progress=False))
