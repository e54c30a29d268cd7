"""Label tracks of Audacity (.txt): ``start<TAB>end<TAB>label``, seconds, a line a label.

A track has no name here and one file holds one track. A label's range of frequencies, on a line of its own that starts
with a backslash, is passed over.
"""

from __future__ import annotations

from pathlib import Path

from lookhear.data.annotations.files import put, read_text
from lookhear.data.annotations.tiers import Annotation, Form, Tier, in_order, number, sayable, span, wrong

__all__ = ["read", "write"]

FORM = Form("an Audacity label track", decimals=6, points=True)


def read(path: Path) -> Annotation:
    """One tier, called labels.

    Raises:
        UserError: a line that is no label.
    """
    intervals = []
    for line, row in enumerate(read_text(path).split("\n"), 1):
        if not row.strip():
            continue
        start, _, rest = row.removeprefix("\\\t").partition("\t")
        end, _, label = rest.partition("\t")
        try:
            times = number(start.strip()), number(end.strip())
        except ValueError:
            fix = "Export the labels from Audacity again: start, end and label with tabs between."
            raise wrong(path, line, "not a label of Audacity", fix) from None
        if not row.startswith("\\"):
            intervals.append(span(path, line, label, *times))
    return Annotation((Tier("labels", in_order(intervals)),))


def write(annotation: Annotation, path: Path) -> None:
    """To the microsecond. The tier's name, media and duration have no place in it.

    Raises:
        UserError: several tiers, or a label of several lines.
    """
    (tier,) = sayable(annotation, path, FORM)
    put(path, "".join(f"{i.start:.6f}\t{i.end:.6f}\t{i.label}\n" for i in tier.intervals))
