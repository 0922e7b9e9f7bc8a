"""The compiled loops of `fused`; importing it loads numba.

The order of the arithmetic is that of `patches.normalize_patches` and `tones.deal_tones`: single precision
after each step, sums in double precision by columns first, no fused multiply-add.
"""

import numpy as np
from numba import njit

from .patches import NORMALIZED_FLOOR, NORMALIZED_MEAN, NORMALIZED_STD
from .tones import CONTRAST_FLOOR

_compiled = njit(cache=True, nogil=True)
_F32 = np.float32


@_compiled
def _add_sub_patch(image, top, left, side, turn, total):
    """Add a turned sub-patch of the image, (height, width * 3), to `total`, (side, side * 3)."""
    for y in range(side):
        for x in range(side):
            i = side - 1 - y if turn & 2 else y
            j = side - 1 - x if turn & 1 else x
            if turn & 4:
                i, j = j, i
            for c in range(3):
                total[y, 3 * x + c] += image[top + i, 3 * (left + j) + c]


@_compiled
def _add_upright(image, top, left, side, total):
    for y in range(side):
        source, target = image[top + y, 3 * left : 3 * (left + side)], total[y]
        for k in range(3 * side):
            target[k] += source[k]


@_compiled
def _over_columns(columns, side, sums):
    """Add up what stands in a row of pixels, per channel."""
    sums[:] = 0.0
    for x in range(side):
        for c in range(3):
            sums[c] += columns[3 * x + c]


@_compiled
def _normalize(total, side, count, out, top, left, values, columns, row, sums):
    """Write a patch without its mean and contrast; see `patches.normalize_patches`."""
    width, pixels = 3 * side, side * side
    scale, middle = _F32(1 / count), _F32(NORMALIZED_MEAN)
    columns[:] = 0.0
    for y in range(side):
        for k in range(width):
            value = _F32(total[y, k]) * scale
            values[y, k] = value
            columns[k] += np.float64(value)
    _over_columns(columns, side, sums)
    for k in range(width):
        row[k] = sums[k % 3] / pixels
    columns[:] = 0.0
    for y in range(side):
        for k in range(width):
            value = _F32(np.float64(values[y, k]) - row[k])
            values[y, k] = value
            columns[k] += np.float64(value * value)
    _over_columns(columns, side, sums)
    for k in range(width):
        row[k] = NORMALIZED_STD / (np.sqrt(sums[k % 3] / pixels) + NORMALIZED_FLOOR)
    for y in range(side):
        target = out[top + y, 3 * left : 3 * left + width]
        for k in range(width):
            value = _F32(np.float64(values[y, k]) * row[k]) + middle
            target[k] = np.uint8(min(max(np.rint(value), _F32(0)), _F32(255)))


@_compiled
def _measure_tone(total, side, mean, contrast, summed, squared):
    """Take a patch's tone, per channel; see `tones.deal_tones`."""
    pixels = side * side
    summed[:] = 0
    squared[:] = 0
    for y in range(side):
        for k in range(3 * side):
            value = np.int64(total[y, k])
            summed[k] += value
            squared[k] += value * value
    for c in range(3):
        s, q = np.float64(summed[c::3].sum()), np.float64(squared[c::3].sum())
        mean[c] = s / pixels
        contrast[c] = np.sqrt(pixels * q - s * s) / pixels


@_compiled
def _deal_tone(total, side, count, mean, contrast, own, other, out, top, left, rows):
    """Write patch `own` with the tone of patch `other`; see `tones.deal_tones`."""
    for k in range(3 * side):
        c = k % 3
        floored = max(contrast[own, c], count * CONTRAST_FLOOR)
        rows[0, k] = _F32(mean[own, c])
        rows[1, k] = _F32(contrast[other, c] / floored / count)
        rows[2, k] = _F32(mean[other, c] / count)
    middle, factor, level = rows[0], rows[1], rows[2]
    for y in range(side):
        target = out[top + y, 3 * left : 3 * (left + side)]
        for k in range(3 * side):
            value = (_F32(total[y, k]) - middle[k]) * factor[k] + level[k]
            target[k] = np.uint8(min(max(np.rint(value), _F32(0)), _F32(255)))


@_compiled
def _write_mean(total, side, count, out, top, left):
    half = count // 2
    for y in range(side):
        for k in range(3 * side):
            out[top + y, 3 * left + k] = (np.int64(total[y, k]) + half) // count


@_compiled
def encrypt_patches(
    images,
    positions,
    turns,
    has_turns,
    order,
    out,
    num_patches,
    mosaic_cols,
    patch_size,
    interval,
    grid,
    normalize,
    shuffle_tones,
):
    """Do what `fused.encrypt` describes."""
    kept, count = positions.shape[1], grid * grid
    side, margin, cols = (patch_size - interval) // grid, interval // 2, images.shape[2] // (3 * patch_size)
    stored = kept if shuffle_tones else 1
    totals = np.empty((stored, side, 3 * side), np.uint16)
    values, columns = np.empty((side, 3 * side), np.float32), np.empty(3 * side)
    row, sums, rows = np.empty(3 * side), np.empty(3), np.empty((3, 3 * side), np.float32)
    summed, squared = np.empty(3 * side, np.int64), np.empty(3 * side, np.int64)
    # By the number of the patch in the plain image, as `order` counts.
    mean, contrast = np.empty((num_patches, 3)), np.empty((num_patches, 3))
    for b in range(images.shape[0]):
        image, encrypted = images[b], out[b]
        for place in range(kept):
            patch = positions[b, place]
            total = totals[place if shuffle_tones else 0]
            total[:] = 0
            top, left = (patch // cols) * patch_size + margin, (patch % cols) * patch_size + margin
            for sub in range(count):
                y, x = top + (sub // grid) * side, left + (sub % grid) * side
                if has_turns:
                    _add_sub_patch(image, y, x, side, turns[b, patch, sub], total)
                else:
                    _add_upright(image, y, x, side, total)
            to_y, to_x = (place // mosaic_cols) * side, (place % mosaic_cols) * side
            if shuffle_tones:
                _measure_tone(total, side, mean[patch], contrast[patch], summed, squared)
            elif normalize:
                _normalize(total, side, count, encrypted, to_y, to_x, values, columns, row, sums)
            else:
                _write_mean(total, side, count, encrypted, to_y, to_x)
        if shuffle_tones:
            for place in range(kept):
                patch = positions[b, place]
                to_y, to_x = (place // mosaic_cols) * side, (place % mosaic_cols) * side
                other = order[b, patch]
                _deal_tone(
                    totals[place], side, count, mean, contrast, patch, other, encrypted, to_y, to_x, rows
                )
