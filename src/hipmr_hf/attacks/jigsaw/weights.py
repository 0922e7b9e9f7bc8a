"""Weights of dissimilarities that the jigsaw attack ships with, one set for each kind of encryption.

Made by `python benchmarks/fit_jigsaw_weights.py` from one 224x224 crop each of 38 photographs
(scikit-image's and COCO's; none of those that the benchmark attacks), patch size 16. Those for JPEG with
subsampled chroma come from half of the crops.
"""

from ...encryption import RandomShuffling
from ...errors import InputValueError
from .pair_scores import PairWeights

SOURCE = "shipped; conditional logit on photographs, patch size 16"

_NAMES = ("prediction", "border", "mgc", "luma", "offset", "correlation", "slanted", "strip", "statistics")
_JPEG_NAMES = (*_NAMES, "luma_border", "luma_mgc")

_Key = tuple[int, float, int, bool, bool]
_Entry = tuple[tuple[float, ...], float]

# fmt: off
# (interval, drop_ratio, sub_patch_grid, sub_patch_symmetries, patch_normalization): (weights, absent)
_TABLE: dict[_Key, _Entry] = {
    (0, 0.0, 1, False, False): (
        (1.8412, 1.5035, 3.329, 1.9845, 3.5929, 0.6056, 2.3729, 0.0133, -0.0833, 0.4908, -0.0588, -0.6264,
         0.6349, 2.115, -0.1554, 0.2093, -0.0916, -0.0534),
        -1.7961,
    ),
    (2, 0.0, 1, False, False): (
        (1.5835, -0.3528, 2.3709, 1.7455, 0.927, 0.2694, 3.1692, 0.1023, 0.1071, 1.0806, -0.9419, -0.4496,
         1.1596, 0.3968, -0.0724, -0.4047, -0.0893, -0.0644),
        -0.5638,
    ),
    (4, 0.0, 1, False, False): (
        (1.252, -0.6766, 1.4239, 1.0079, 0.1429, 0.3566, 3.7274, 0.1028, 0.2244, 1.2507, -1.1143, -0.1788,
         0.8759, 0.2862, -0.0748, -1.0978, -0.0662, -0.0922),
        0.2107,
    ),
    (8, 0.0, 1, False, False): (
        (0.5351, -0.4781, 0.6729, -0.0055, -0.2709, 0.3122, 2.7571, 0.0902, 0.429, 1.0201, -0.5117, -0.0063,
         0.356, 0.2055, -0.0602, -0.874, -0.0466, -0.1106),
        0.2997,
    ),
    (0, 0.25, 1, False, False): (
        (1.1592, 1.2486, 2.5789, 1.3053, 3.5369, 0.4826, 2.1593, -0.2399, -0.2234, 0.2748, 0.227, -0.2429,
         0.4467, 2.4065, -0.0754, 0.7672, -0.0269, -0.0321),
        -1.5572,
    ),
    (2, 0.25, 1, False, False): (
        (1.0566, -0.5641, 2.3605, 1.2908, 0.8615, 0.2431, 2.3992, 0.0674, 0.0389, 1.0124, -0.6893, -0.433,
         1.2367, 0.7299, -0.0544, 0.241, -0.0776, -0.051),
        -0.3255,
    ),
    (0, 0.5, 1, False, False): (
        (1.0572, 1.1412, 2.7249, 1.1389, 3.1775, 0.5464, 2.0706, -0.3237, -0.4406, 0.2377, 0.2792, -0.2745,
         0.3479, 2.2224, -0.0621, 1.0042, 0.0123, 0.0309),
        -1.282,
    ),
    (0, 0.0, 1, False, True): (
        (1.551, 0.8009, 1.8094, 0.2416, 8.9247, 2.0977, 0.5843, -0.3361, 0.1963, -0.4263, -1.1139, -0.2748,
         -1.8923, 6.9632, -0.2685, -1.1251, 0.015, 0.0083),
        -2.7649,
    ),
    (0, 0.0, 1, True, False): (
        (-0.0079, 0.3967, 0.2334, -0.246, -0.7656, 0.1045, 1.8689, 0.1153, 1.0866, 0.3925, 0.6934, 0.0321,
         0.0621, -0.275, -0.045, -0.8129, -0.0631, -0.0177),
        0.6004,
    ),
    (0, 0.0, 1, True, True): (
        (-0.1451, -0.153, 0.473, -0.5042, 0.0691, 0.3094, 0.5407, 0.1229, 0.8037, 0.3803, 0.1733, -0.058,
         -0.0886, 0.5063, -0.0801, -0.4856, -0.0528, 0.02),
        0.5788,
    ),
    (0, 0.0, 2, False, False): (
        (1.8808, -0.3753, 1.0974, 0.0952, 2.4825, 0.4607, 1.9194, -0.0244, -0.0617, 1.5135, -1.3031, -0.0031,
         -0.4419, 1.8483, -0.0447, -0.4738, 0.0185, -0.159),
        -1.411,
    ),
    (0, 0.0, 2, False, True): (
        (0.4847, 0.4904, 1.2479, -0.5111, 4.0968, 0.5368, 0.6601, -0.1032, 0.4548, -0.2517, -0.2495, -0.1181,
         -1.3728, 3.4271, -0.0623, -0.5192, -0.0239, 0.0065),
        -1.2223,
    ),
    (0, 0.0, 2, True, False): (
        (0.2779, 0.049, 0.5733, -1.0272, -0.2276, 0.0186, 0.6949, -0.1784, 0.8989, 1.0311, 0.5976, 0.0204,
         -0.5217, -0.0167, -0.016, -0.446, -0.0007, -0.0556),
        0.2082,
    ),
    (0, 0.0, 2, True, True): (
        (-0.156, -0.319, 0.6094, -0.5337, 0.1533, -0.0597, 0.4986, 0.1778, 0.4802, 0.4124, 0.0509, -0.0589,
         -0.0855, 0.6382, 0.0033, -0.4305, -0.0738, 0.0741),
        0.6457,
    ),
}

_JPEG_TABLE: dict[_Key, _Entry] = {
    (0, 0.0, 1, False, False): (
        (-0.1, -0.1687, -1.3118, 2.2762, 2.7349, 0.6911, 1.6202, 0.785, 0.4246, 1.7632, 3.8505,
         -1.4561, -1.0638, 0.1018, 1.0711, 1.3202, -0.0444, 1.0351, -0.1681, -0.1834, 0.9036,
         -0.4385),
        -1.5737,
    ),
    (4, 0.0, 1, False, False): (
        (-0.657, 0.0368, -0.48, 1.0894, 0.5861, 0.4872, 1.7133, 0.5806, 0.7139, 0.8991, 0.8089,
         -1.079, -0.2272, 0.0832, 0.7482, 0.2355, -0.0762, 0.1998, -0.1073, -0.1874, 0.4952, 0.0058),
        -0.4831,
    ),
    (0, 0.0, 2, False, False): (
        (-0.5139, 0.2147, -0.1199, 0.6262, 1.0215, 0.5533, 0.7035, 0.2008, 0.7991, -0.3439, 0.7489,
         -0.7683, 0.1161, 0.1046, 0.64, 0.8303, -0.0219, 0.1969, 0.0578, -0.2788, -0.6503, -0.0379),
        -0.824,
    ),
    (0, 0.0, 2, True, True): (
        (-0.5289, -0.1604, 0.1146, -0.8403, -0.3669, -0.1232, 0.0417, 0.1918, 0.5239, -0.366,
         0.3512, 0.2394, 0.5816, -0.0099, -0.2049, 0.3854, 0.0126, -0.2089, -0.0913, 0.0177, 0.2727,
         0.0134),
        0.6232,
    ),
}
# fmt: on

_FORMATS = {
    "png": (_NAMES, _TABLE),
    "webp": (_NAMES, _TABLE),
    "jpeg": (_NAMES, _TABLE),  # in full colour, other weights find no more (.800 against .799)
    "jpeg420": (_JPEG_NAMES, _JPEG_TABLE),
}


def weights_for(encryption: RandomShuffling, *, image_format: str = "png") -> PairWeights:
    """Choose the shipped weights whose settings are nearest to these.

    Args:
        encryption: the settings under attack.
        image_format: how the encrypted image was stored: "png", "webp" or "jpeg", as this package writes
            them, or "jpeg420" for JPEG with subsampled chroma, as most programs write it: colours run over
            the borders of patches, so luma is compared by itself. A JPEG file tells which of both it is.

    Returns:
        Weights; their `source` names the settings that they were fitted for.

    Raises:
        ValueError: an unknown format.

    Example:
        >>> weights_for(RandomShuffling(patch_size=28)).names[0]
        'prediction'
    """

    def distance(key: tuple[int, float, int, bool, bool]) -> float:
        interval, drop, grid, turned, normalized = key
        # Mixing, turns and normalisation change what a border is; gap and drop only how far to trust it.
        kinds = (
            (grid > 1) != (encryption.sub_patch_grid > 1),
            turned != encryption.sub_patch_symmetries,
            normalized != encryption.patch_normalization,
        )
        return 100.0 * sum(kinds) + abs(interval - encryption.interval) + abs(drop - encryption.drop_ratio)

    if image_format not in _FORMATS:
        raise InputValueError(f"image_format: got {image_format!r}, expected one of {sorted(_FORMATS)}.")
    names, table = _FORMATS[image_format]
    key = min(table, key=distance)
    weights, absent = table[key]
    fields = ("interval", "drop_ratio", "sub_patch_grid", "sub_patch_symmetries", "patch_normalization")
    fitted_for = ", ".join(f"{name}={value}" for name, value in zip(fields, key, strict=True))
    return PairWeights(names, weights, absent, f"{SOURCE}, fitted for {fitted_for}, {image_format}")
