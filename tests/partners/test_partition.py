"""Partners of the same partition of other volumes, items that are no negatives, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lookhear.data.schema import SCHEMA, Corpus
from lookhear.errors import UserError
from lookhear.partners.partition import PartitionPartners


def corpus(volumes: list[Any], partitions: list[Any]) -> Corpus:
    table = pa.Table.from_pylist([{"id": f"r{i}"} for i in range(len(volumes))], schema=SCHEMA)
    table = table.append_column("volume", pa.array(volumes)).append_column("partition", pa.array(partitions))
    return Corpus(table, Path(), "made")


VOLUMES, PARTS = ["a", "a", "a", "b", "b", "c", "c"], [0, 1, 2, 0, 1, 0, 2]


def test_partners_share_the_partition_and_not_the_volume() -> None:
    found = PartitionPartners(itself=0.5).find(None, corpus(VOLUMES, PARTS), np.arange(7))
    assert found.group is not None
    assert found.group.tolist() == PARTS
    for i in range(7):
        others = {int(r) for r, w in zip(found.rows[i, 1:], found.weights[i, 1:]) if w}
        assert others == {j for j in range(7) if PARTS[j] == PARTS[i] and VOLUMES[j] != VOLUMES[i]}
        assert found.rows[i, 0] == i
    drawn = np.array([found.draw(np.zeros(1, dtype=np.int64), np.random.default_rng(k))[0] for k in range(2000)])
    assert abs((drawn == 0).mean() - 0.5) < 0.04
    assert abs((drawn == 3).mean() - 0.25) < 0.04


def test_without_pull_items_are_their_own_partners_and_still_no_negatives() -> None:
    found = PartitionPartners(pull=False).find(None, corpus(VOLUMES, PARTS), np.arange(7))
    assert (found.draw(np.arange(7), np.random.default_rng(0)) == np.arange(7)).all()
    assert found.group is not None


def test_no_more_than_the_top_and_the_same_every_time() -> None:
    given = corpus([str(i) for i in range(30)], [i % 2 for i in range(30)])
    a, b = (PartitionPartners(top=3).find(None, given, np.arange(30)) for _ in range(2))
    assert a.rows.shape == (30, 4)
    assert (a.rows == b.rows).all()


@pytest.mark.parametrize(
    ("partitions", "change", "told"),
    [
        ([0, 0, 0], {}, "have one 'partition'"),
        ([0, None, 1], {}, "the first is r1"),
        ([0, 1, 1], {"partition": "part"}, "no column 'part'"),
    ],
)
def test_what_cannot_be_meant(partitions: list[Any], change: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        PartitionPartners(**change).find(None, corpus(["a", "b", "c"], partitions), np.arange(3))
