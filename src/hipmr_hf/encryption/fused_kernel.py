"""The compiled loops of `fused`; importing it loads numba.

The order of the arithmetic is that of `patches.normalize_patches` and `tones.deal_tones`: single precision
after each step, sums in double precision by columns first, no fused multiply-add.

Patches that will stand side by side are done together, as a strip: its pixel rows are long, so that the
processor works on many samples in one instruction. Images are flat, and a place in them is a count of bytes.
"""

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from .patches import NORMALIZED_FLOOR, NORMALIZED_MEAN, NORMALIZED_STD
from .tones import CONTRAST_FLOOR

_compiled = njit(cache=True, nogil=True)
_F32 = np.float32
# Whole numbers up to 255.5 * 256 are divided by up to 256 by a multiplication and so many bits less, exactly.
_DIVISION_BITS = 24


@intrinsic
def _move(typing_context, target, to, source, start, count):
    """Copy `count` bytes of one array into another; of a constant count it is an instruction or two."""

    def generate(context, builder, signature, values):
        places = []
        for array, offset in ((0, 1), (2, 3)):
            found = context.make_array(signature.args[array])(context, builder, values[array])
            first = builder.bitcast(found.data, cgutils.voidptr_t)
            places.append(builder.gep(first, [values[offset]]))
        cgutils.raw_memcpy(builder, *places, values[4], 1)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp, types.intp), generate


@_compiled
def _turn(image, start, width, side, turn, target, to, target_width):
    """Move a sub-patch, turned; a width is that of the whole image, in bytes."""
    down, right, last = width, 3, side - 1
    if turn & 4:
        down, right = right, down
    if turn & 2:
        start, down = start + last * down, -down
    if turn & 1:
        start, right = start + last * right, -right
    for y in range(side):
        source, place = start + y * down, to + y * target_width
        if right == 3:
            _move(target, place, image, source, 3 * side)
        else:
            for _ in range(side):
                _move(target, place, image, source, 3)
                source, place = source + right, place + 3


@_compiled
def _line_up(image, chosen, turns, sub, shape, target, to, target_width):
    """Move sub-patch `sub` of each chosen patch, turned, one beside the other."""
    down, across = sub // shape.grid, sub % shape.grid
    for number in range(len(chosen)):
        patch = chosen[number]
        y = patch // shape.cols * shape.patch_size + shape.margin + down * shape.side
        x = patch % shape.cols * shape.patch_size + shape.margin + across * shape.side
        turn = turns[patch, sub] if len(turns) else 0
        place = to + 3 * shape.side * number
        _turn(image, y * shape.width + 3 * x, shape.width, shape.side, turn, target, place, target_width)


@_compiled
def _add_up(image, chosen, turns, shape, pieces, totals):
    """Write the sums of the sub-patches of each chosen patch, (side, 3 * side * chosen), flat."""
    for sub in range(shape.grid * shape.grid):
        _line_up(image, chosen, turns, sub, shape, pieces, 0, 3 * shape.side * len(chosen))
        if sub == 0:
            for i in range(len(totals)):
                totals[i] = pieces[i]
        else:
            for i in range(len(totals)):
                totals[i] += pieces[i]


@_compiled
def _write_mean(totals, count, out):
    """Divide and round half up; see `patches.mean_of_sub_patches`."""
    factor, half = np.uint32(-(-(1 << _DIVISION_BITS) // count)), np.uint32(count // 2)
    for i in range(len(totals)):
        out[i] = np.uint32(np.uint32(totals[i] + half) * factor) >> np.uint32(_DIVISION_BITS)


@_compiled
def _clear(row):
    for k in range(len(row)):
        row[k] = 0


@_compiled
def _mean_of_columns(columns, side, means):
    """Divide the sum over the columns of each patch and channel by the patch's pixels."""
    for patch in range(len(means)):
        for c in range(3):
            total = 0.0
            for x in range(side):
                total += columns[3 * (patch * side + x) + c]
            means[patch, c] = total / (side * side)


@_compiled
def _spread(numbers, side, row):
    """Write the number of each patch and channel to all of its columns."""
    for patch in range(len(numbers)):
        for x in range(side):
            for c in range(3):
                row[3 * (patch * side + x) + c] = numbers[patch, c]


@_compiled
def _write_normalized(totals, count, side, rows, columns, row, means, out, to, width):
    """Write a strip of patches without their means and contrasts; see `patches.normalize_patches`."""
    length = len(columns)
    scale, middle = _F32(1 / count), _F32(NORMALIZED_MEAN)
    _clear(columns)
    for y in range(side):
        total, values = totals[y * length : (y + 1) * length], rows[y]
        for k in range(length):
            values[k] = _F32(total[k]) * scale
        for k in range(length):
            columns[k] += values[k]
    _mean_of_columns(columns, side, means)
    _spread(means, side, row)
    _clear(columns)
    for y in range(side):
        values = rows[y]
        for k in range(length):
            values[k] = _F32(np.float64(values[k]) - row[k])
        for k in range(length):
            columns[k] += np.float64(values[k] * values[k])
    _mean_of_columns(columns, side, means)
    for patch in range(len(means)):
        for c in range(3):
            means[patch, c] = NORMALIZED_STD / (np.sqrt(means[patch, c]) + NORMALIZED_FLOOR)
    _spread(means, side, row)
    for y in range(side):
        values, target = rows[y], out[to + y * width : to + y * width + length]
        for k in range(length):
            value = _F32(np.float64(values[k]) * row[k]) + middle
            target[k] = np.uint8(min(max(np.rint(value), _F32(0)), _F32(255)))


@_compiled
def _measure_tones(totals, side, chosen, summed, squared, mean, contrast):
    """Take the tones of a strip of patches, per channel; see `tones.deal_tones`."""
    length, pixels = len(summed), side * side
    _clear(summed)
    _clear(squared)
    for y in range(side):
        total = totals[y * length : (y + 1) * length]
        for k in range(length):
            summed[k] += total[k]
        for k in range(length):
            squared[k] += np.uint64(total[k]) * np.uint64(total[k])
    for number in range(len(chosen)):
        patch, first = chosen[number], 3 * side * number
        for c in range(3):
            whole, squares = np.uint64(0), np.uint64(0)
            for x in range(side):
                whole += summed[first + 3 * x + c]
                squares += squared[first + 3 * x + c]
            s, q = np.float64(whole), np.float64(squares)
            mean[patch, c] = s / pixels
            contrast[patch, c] = np.sqrt(pixels * q - s * s) / pixels


@_compiled
def _deal_tones(totals, count, side, chosen, order, mean, contrast, rows, out, to, width):
    """Write a strip of patches with the tones of others; see `tones.deal_tones`."""
    length = 3 * side * len(chosen)
    middle, factor, level = rows[0, :length], rows[1, :length], rows[2, :length]
    for number in range(len(chosen)):
        own = chosen[number]
        other = order[own]
        for c in range(3):
            floored = max(contrast[own, c], count * CONTRAST_FLOOR)
            about = _F32(mean[own, c])
            times, plus = _F32(contrast[other, c] / floored / count), _F32(mean[other, c] / count)
            for x in range(side):
                k = 3 * (number * side + x) + c
                middle[k], factor[k], level[k] = about, times, plus
    for y in range(side):
        total, target = totals[y * length : (y + 1) * length], out[to + y * width : to + y * width + length]
        for k in range(length):
            value = (_F32(total[k]) - middle[k]) * factor[k] + level[k]
            target[k] = np.uint8(min(max(np.rint(value), _F32(0)), _F32(255)))


@_compiled
def _strip(number, shape):
    """Return the first place of a strip, how many it has, and where it begins in the encrypted image."""
    a_row = -(-shape.mosaic_cols // shape.strip)
    row, left = number // a_row, number % a_row * shape.strip
    begin = row * shape.side * shape.mosaic_width + 3 * shape.side * left
    return row * shape.mosaic_cols + left, min(shape.strip, shape.mosaic_cols - left), begin


@_compiled
def encrypt_patches(images, positions, turns, order, out, squared, shape, plan):
    """Do what `fused.encrypt` describes."""
    count, side, width = shape.grid * shape.grid, shape.side, shape.mosaic_width
    num_patches, kept = order.shape[1], positions.shape[1]
    strips, longest = kept // shape.mosaic_cols * -(-shape.mosaic_cols // shape.strip), 3 * side * shape.strip
    copy, pieces = np.empty(images.shape[1], np.uint8), np.empty(side * longest, np.uint8)
    stored = np.empty(kept * 3 * side * side if plan.shuffle_tones else side * longest, np.uint16)
    values, rows = np.empty((side, longest), np.float32), np.empty((3, longest), np.float32)
    columns, row, summed = np.empty(longest), np.empty(longest), np.empty(longest, np.uint32)
    # By the number of the patch in the plain image, as `order` counts.
    mean, contrast, means = np.empty((num_patches, 3)), np.empty((num_patches, 3)), np.empty((shape.strip, 3))
    mixed = count > 1 or plan.normalize or plan.shuffle_tones
    for b in range(len(images)):
        image = images[b]
        if plan.shuffle:
            # Memory is so much faster in order that it pays to copy what is then read in random order.
            _move(copy, 0, image, 0, len(image))
            image = copy
        for number in range(strips):
            first, many, to = _strip(number, shape)
            chosen, length = positions[b, first : first + many], 3 * side * many
            if not mixed:
                _line_up(image, chosen, turns[b], 0, shape, out[b], to, width)
                continue
            at = 3 * side * side * first if plan.shuffle_tones else 0
            totals = stored[at : at + side * length]
            _add_up(image, chosen, turns[b], shape, pieces, totals)
            if plan.shuffle_tones:
                _measure_tones(totals, side, chosen, summed[:length], squared[:length], mean, contrast)
            elif plan.normalize:
                strip = values, columns[:length], row, means[:many]
                _write_normalized(totals, count, side, *strip, out[b], to, width)
            else:
                for y in range(side):
                    begin = to + y * width
                    _write_mean(totals[y * length : (y + 1) * length], count, out[b, begin : begin + length])
        for number in range(strips if plan.shuffle_tones else 0):
            first, many, to = _strip(number, shape)
            totals = stored[3 * side * side * first : 3 * side * side * (first + many)]
            chosen = positions[b, first : first + many]
            _deal_tones(totals, count, side, chosen, order[b], mean, contrast, rows, out[b], to, width)
