"""The compiled loops of `stretching`; importing it loads numba.

Step for step what Pillow's `Resample.c` does to 8 bits: weights in double precision, divided by their sum and
rounded to 22 bits after the point, sums in 32 bits, from which one half is rounded up.
"""

import numpy as np
from numba import njit

_compiled = njit(cache=True, nogil=True)

_BITS = 22
_HALF = np.int32(1 << (_BITS - 1))
_REACH = 2.0  # source pixels, at the source's size, that the filter reads on either side
_CHANNELS = 3
# Rows that are done at once, so that the processor adds up many numbers in one instruction; and pixels of a
# row that are turned at once, so that both sides of the turn stay in its nearest cache.
_ROWS, _TURNED = 64, 16


@_compiled
def _bicubic(x):
    """Keys 1981, a = -1/2."""
    x = abs(x)
    if x < 1.0:
        return ((-0.5 + 2.0) * x - (-0.5 + 3.0)) * x * x + 1.0
    if x < 2.0:
        return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    return 0.0


@_compiled
def find_taps(size, begin, scale, first, kept):
    """Do what `stretching._taps` describes: `scale` source pixels, from `begin` on, become one."""
    spread = max(scale, 1.0)
    reach, shrink = _REACH * spread, 1.0 / spread
    widest = int(np.ceil(reach)) * 2 + 1
    starts, counts = np.empty(kept, np.int64), np.empty(kept, np.int64)
    weights, row = np.zeros((kept, widest), np.int32), np.empty(widest)
    for place in range(kept):
        centre = begin + (first + place + 0.5) * scale
        start = max(0, int(centre - reach + 0.5))
        count = min(size, int(centre + reach + 0.5)) - start
        total = 0.0
        for i in range(count):
            row[i] = _bicubic((i + start - centre + 0.5) * shrink)
            total += row[i]
        for i in range(count):
            value = (row[i] / total if total != 0.0 else row[i]) * (1 << _BITS)
            weights[place, i] = int(value - 0.5) if value < 0 else int(value + 0.5)
        starts[place], counts[place] = start, count
    return starts, counts, weights


@_compiled
def _add_up(rows, start, count, weights, sums, out):
    """Write the weighted sum of some rows."""
    sums[:] = _HALF
    for tap in range(count):
        row, weight = rows[start + tap], weights[tap]
        for i in range(len(sums)):
            sums[i] += np.int32(row[i]) * weight
    for i in range(len(sums)):
        out[i] = min(max(sums[i] >> _BITS, 0), 255)


@_compiled
def stretch_down(pixels, starts, counts, weights, out):
    """Resize the height of an image, (height, width * 3)."""
    sums = np.empty(pixels.shape[1], np.int32)
    for y in range(len(starts)):
        _add_up(pixels, starts[y], counts[y], weights[y], sums, out[y])


@_compiled
def stretch_across(pixels, starts, counts, weights, out):
    """Resize the width: some rows are turned, so that it is their height, and turned back."""
    kept, low = len(starts), starts[0]
    high = starts[kept - 1] + counts[kept - 1]
    turned = np.zeros((high - low, _CHANNELS * _ROWS), np.uint8)
    done = np.empty((kept, _CHANNELS * _ROWS), np.uint8)
    sums = np.empty(_CHANNELS * _ROWS, np.int32)
    for top in range(0, len(pixels), _ROWS):
        count = min(_ROWS, len(pixels) - top)
        _turn(pixels[top : top + count], low, turned, count)
        for x in range(kept):
            _add_up(turned, starts[x] - low, counts[x], weights[x], sums, done[x])
        _turn_back(done, out[top : top + count], count)


@_compiled
def _turn(pixels, low, turned, count):
    """Put the pixels of each row, from the column `low` on, one below the other."""
    columns = len(turned)
    for left in range(0, columns, _TURNED):
        for y in range(count):
            row = pixels[y]
            for x in range(left, min(left + _TURNED, columns)):
                for c in range(_CHANNELS):
                    turned[x, _CHANNELS * y + c] = row[_CHANNELS * (low + x) + c]


@_compiled
def _turn_back(done, out, count):
    for left in range(0, len(done), _TURNED):
        for y in range(count):
            row = out[y]
            for x in range(left, min(left + _TURNED, len(done))):
                for c in range(_CHANNELS):
                    row[_CHANNELS * x + c] = done[x, _CHANNELS * y + c]
