"""What the header of a sound file promises, looked at before its samples are decoded: no bombs, nothing cut off."""

from __future__ import annotations

import io
import re

from lookhear.errors import UserError

__all__ = ["LONGEST", "check_header"]

LONGEST = 24 * 3600
"""Seconds: 5.5 GB of samples at 16 kHz. A longer recording is refused, as is a header that lies about its length."""
MOST = 1 << 31
"""Samples of all channels together, which are decoded at once: 8 GiB."""
RATES = (1_000, 1_000_000)
"""Of samples a second, from the lowest to the highest: a rate of 1 Hz would make minutes of sound hours of 16 kHz."""

_CUT = re.compile(r"^ *(?:riff|Riff size|FORM|SSND|Data Size)\s*: ([0-9]+) \(should be ([0-9]+)\)", re.MULTILINE)
"""Of W64, RF64, AIFF and AU, in libsndfile's log; ``load_audio`` looks for that of WAV."""
_OPEN_END = 0x7FFFFFF0
"""Programs that write as they record leave such sizes, which is no damage."""
_NIST = re.compile(rb"sample_count -i ([0-9]{1,18})")


def check_header(data: bytes, name: str) -> None:
    """Refuses what must not, or cannot, be decoded; what is no sound file at all is left to ``load_audio``.

    Raises:
        UserError: more samples than ``LONGEST`` or ``MOST``, a rate outside ``RATES``, or a file that ends before the
            data that its header promises.
    """
    import soundfile as sf

    try:
        with sf.SoundFile(io.BytesIO(data)) as file:
            frames, rate, channels, log = file.frames, file.samplerate, file.channels, file.extra_info
    except sf.LibsndfileError:
        return
    if not RATES[0] <= rate <= RATES[1]:
        raise UserError(f"{name}: a rate of {rate} Hz", "Export it again from the source.")
    if 0 < frames < 1 << 60 and (frames > LONGEST * rate or frames * channels > MOST):
        what = f"{name}: {frames / rate / 3600:,.0f} h of sound in {channels} channels by its header"
        raise UserError(what, f"Cut it up, to {LONGEST // 3600} h at most, or copy it again.")
    told = [(int(promised), int(there)) for promised, there in _CUT.findall(log)]
    cut = any(there < promised < _OPEN_END for promised, there in told)
    if data.startswith(b"NIST_1A") and (count := _NIST.search(data[:1024])) is not None:
        cut |= frames < int(count[1])
    if cut:
        raise UserError(f"{name}: truncated recording (the file ends before its data)", "Copy it again.")
