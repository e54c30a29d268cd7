"""The batcher: the same as alone, together; errors for those they concern; nothing lost at its end."""

from __future__ import annotations

import threading

import pytest
import torch

from lookhear.errors import UserError
from lookhear.serve.batching import Batcher


def test_texts_that_come_during_a_pass_share_the_next_one() -> None:
    begun, go, passes = threading.Event(), threading.Event(), []

    def encode(texts):
        passes.append(list(texts))
        begun.set()
        assert go.wait(10)
        return [t.upper() for t in texts]

    batcher = Batcher(encode, most=3, window=0.0)
    first = batcher.submit("a")
    assert begun.wait(10)
    others = [batcher.submit(t) for t in ("b", "c", "b", "d")]
    go.set()
    assert [f.result(10) for f in (first, *others)] == ["A", "B", "C", "B", "D"]
    batcher.close()
    assert passes == [["a"], ["b", "c"], ["d"]]  # three texts at most, equal ones once


def test_one_text_a_pass_is_no_batching() -> None:
    passes = []
    batcher = Batcher(lambda texts: passes.append(list(texts)) or texts, most=1)
    assert [f.result(10) for f in [batcher.submit(t) for t in "abc"]] == ["a", "b", "c"]
    batcher.close()
    assert passes == [["a"], ["b"], ["c"]]


def test_a_bad_text_spoils_no_other() -> None:
    def encode(texts):
        if "bad" in texts:
            raise UserError("nothing can be made of 'bad'", "Write another word.")
        return [len(t) for t in texts]

    batcher = Batcher(encode, window=0.2)
    good, bad, other = (batcher.submit(t) for t in ("good", "bad", "other"))
    assert (good.result(10), other.result(10)) == (4, 5)
    with pytest.raises(UserError, match="nothing can be made"):
        bad.result(10)
    batcher.close()


def test_a_fault_is_told_to_all_and_the_thread_lives() -> None:
    def encode(texts):
        if "x" in texts:
            raise ValueError("broken")
        return texts

    batcher = Batcher(encode, window=0.2)
    failed = [batcher.submit(t) for t in ("x", "y")]
    for future in failed:
        with pytest.raises(ValueError, match="broken"):
            future.result(10)
    assert batcher.submit("z").result(10) == "z"
    batcher.close()


def test_who_has_gone_costs_no_pass() -> None:
    begun, go, passes = threading.Event(), threading.Event(), []

    def encode(texts):
        passes.append(list(texts))
        begun.set()
        go.wait(10)
        return texts

    batcher = Batcher(encode, window=0.0)
    batcher.submit("a")
    assert begun.wait(10)
    assert batcher.submit("b").cancel()
    go.set()
    batcher.close()
    assert passes == [["a"]]


def test_what_was_submitted_is_answered_before_the_end() -> None:
    batcher = Batcher(lambda texts: texts, window=5.0)
    waiting = [batcher.submit(str(i)) for i in range(100)]
    batcher.close()
    assert [f.result(0) for f in waiting] == [str(i) for i in range(100)]
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit("late")
    batcher.close()


def test_vectors_are_those_of_each_text_alone(searcher) -> None:
    texts = ["a red boat", "dog", "the dog and the very small boat in the snow", "umbrella", "a", "a cow"]
    batcher = Batcher(searcher.parts, window=0.2)
    together = [f.result(60) for f in [batcher.submit(t) for t in texts]]
    batcher.close()
    for text, part in zip(texts, together, strict=True):
        alone = searcher.part(text=text)
        assert (part.text, part.names) == (text, alone.names)
        torch.testing.assert_close(part.whole, alone.whole, atol=1e-5, rtol=0)
        torch.testing.assert_close(part.words, alone.words, atol=1e-5, rtol=0)
