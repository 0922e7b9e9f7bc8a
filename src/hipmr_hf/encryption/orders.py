"""Orders that leave too many patches where they stood, which are drawn again.

With few patches, chance alone would publish pictures as they were: of the 24 orders of four patches one is
the plain picture. **The rule.** An image keeps k of its patches. In a random order, let F be the number of
places j < k that hold patch j, both counted row by row. The order stands still if F > k / 2. In the same way
an order of tones stands still if more than half of the k patches keep their own tone. If either of an image's
two orders stands still, both are drawn again, from the next bytes of its stream, until neither does.

**Where it matters.** With m = floor(k / 2) + 1, the chance of F >= m is at most 1 / m!, since m given places
hold their patches in (n - m)! of the n! orders. From k = 28 on that is below 2**-40, so nothing is drawn
again there, and streams are what they always were. Below that, an image in a million is drawn again with 16
patches, and 1 in 24 with 4. What stays possible is told by `weaknesses`: the rule keeps no neighbours apart.

numpy only.
"""

import numpy as np

from .tones import order_among

FEW_PATCHES = 28
"""With as many kept patches or more, the chance that more than half of them stand still is below 2**-40."""

LEAST_PATCHES = 3
"""Of fewer there is but one order that does not stand still, and everybody knows it."""


def stand_still(permutations: np.ndarray | None, tones: np.ndarray | None, *, kept: int) -> np.ndarray:
    """Tell which images' orders leave more than half of the kept patches, or of their tones, in place.

    Args:
        permutations: int (batch, patches), the patch in each place; the first `kept` are published. None
            where patches are not shuffled.
        tones: int (batch, patches), the second order, as in `tones.order_among`; where patches are not
            shuffled, the patch whose tone each patch gets. None where tones are not dealt. Not both are None.
        kept: patches that are published.

    Returns:
        bool (batch,).

    Example:
        >>> import numpy as np
        >>> orders = np.array([[0, 1, 2, 3], [0, 1, 3, 2], [1, 0, 3, 2]])
        >>> stand_still(orders, None, kept=4).tolist()
        [True, False, False]
    """
    if permutations is None:
        return _most_equal(tones, np.arange(kept))
    textures = permutations[:, :kept]
    still = _most_equal(textures, np.arange(kept))
    if tones is not None:
        dealt = np.take_along_axis(order_among(textures, tones), textures, axis=1)
        still |= _most_equal(dealt, textures)
    return still


def _most_equal(order: np.ndarray, places: np.ndarray) -> np.ndarray:
    return 2 * np.count_nonzero(order == places, axis=1) > order.shape[1]
