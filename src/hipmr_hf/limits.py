"""What attackers recovered from each encryption, in sentences for cards.

Neighbours and inversions come from `benchmarks/jigsaw_attack.py`: 12 Kodak photographs at 224 x 224 pixels
with patches of 16; a test keeps the figures equal to its results. Linkage was measured before the first
release, on 40 people with 10 portraits each and on 60 photographs, and has no command here. All are lower
bounds of what leaks.
"""

from .encryption import Encryption

# Share of true neighbours that a jigsaw solver put back, by interval and drop ratio; chance is .005.
NEIGHBOURS = {
    (0, 0.0): 1.00,
    (2, 0.0): 0.68,
    (4, 0.0): 0.32,
    (8, 0.0): 0.13,
    (0, 0.25): 0.96,
    (0, 0.5): 0.89,
    (2, 0.25): 0.58,
}
# The same for patches that were mixed, by symmetries and normalization.
MIXED_NEIGHBOURS = {(False, False): 0.33, (False, True): 0.13, (True, False): 0.05, (True, True): 0.03}
NORMALIZED_NEIGHBOURS = 0.87


def what_is_not_protected(encryption: Encryption, *, keyed: bool = False) -> list[str]:
    """Return what images with these settings give away, a sentence each.

    Args:
        encryption: the settings.
        keyed: the permutations can be drawn again with a key.

    Example:

        >>> from hipmr_hf import RandomShuffling
        >>> print(what_is_not_protected(RandomShuffling())[0])
        A jigsaw solver puts back all of the neighbouring patches (chance .005): the picture, or large ...
    """
    said = [_on_puzzles(encryption) if encryption.strategy == "rs" else _on_thumbnails(encryption)]
    said += [
        _on_identity(encryption),
        "Whoever holds a candidate photograph can confirm it: 60 of 60 were found by the mean colours of "
        "their patches alone.",
        "All figures are lower bounds for 224 x 224 photographs with patches of 16 pixels; a better attacker "
        "recovers more, and aligned content (portraits, scans in one pose) is protected less.",
        "Labels and every other column are published as they are, and so is the number of images.",
        "A model trained on such images can give away some of them. Only training with differential privacy "
        "(DP-SGD) limits that.",
        "Use it together with access control and with encryption in transit and at rest, not in their place.",
    ]
    if keyed:
        said.append("Whoever gets the key gets every picture that the settings do not destroy.")
    return said


def what_viewers_see(encryption: Encryption) -> str:
    """Return what is left to the eye, with no attack at all.

    Example:

        >>> from hipmr_hf import MixingUp
        >>> what_viewers_see(MixingUp())
        'the eye still sees the scene, small and blurred'
    """
    if encryption.strategy == "rs":
        return "casual viewers do not recognise the scene"
    if not encryption.patch_normalization:
        return "the eye still sees the scene, small and blurred"
    return "hardly an outline is left" if encryption.sub_patch_symmetries else "a sketch of edges is left"


def _on_puzzles(encryption: Encryption) -> str:
    measured = _measured_neighbours(encryption)
    if measured is None:
        two, four, half = (_share(NEIGHBOURS[lost]) for lost in ((2, 0.0), (4, 0.0), (0, 0.5)))
        return (
            "A jigsaw solver puts patches back together: all neighbours with nothing lost (chance .005), "
            f"{two} of them with an interval of 2 pixels, {four} with 4, {half} with half of the patches "
            "dropped."
        )
    if measured > 0.85:
        seen = "the picture, or large pieces of it, can be seen again"
    elif measured > 0.5:
        seen = "large pieces can be seen again"
    else:
        seen = "fragments can be put together, and more by an attacker who was trained for these settings"
    return f"A jigsaw solver puts back {_share(measured)} of the neighbouring patches (chance .005): {seen}."


def _measured_neighbours(encryption: Encryption) -> float | None:
    lost = (encryption.interval, encryption.drop_ratio)
    if encryption.sub_patch_grid > 1:
        return MIXED_NEIGHBOURS[encryption.sub_patch_symmetries, encryption.patch_normalization]
    if encryption.patch_normalization or encryption.sub_patch_symmetries:
        return NORMALIZED_NEIGHBOURS if lost == (0, 0.0) else None
    return NEIGHBOURS.get(lost)


def _on_thumbnails(encryption: Encryption) -> str:
    if encryption.sub_patch_symmetries and encryption.patch_normalization:
        return "Patches keep their places, so coarse outlines of the scene can be guessed."
    if encryption.patch_normalization:
        return "Patches keep their places: a sketch of the scene's edges can be seen with no attack."
    return (
        "Patches keep their places: a thumbnail of one exact pixel per patch can be read with no attack. The "
        "scene is plain, and from 512 pixels on a close-up face can be identified. Smoothing makes it "
        "sharper (22.9 dB PSNR)."
    )


def _on_identity(encryption: Encryption) -> str:
    if encryption.strategy == "mi":
        linked = ".895"
    else:
        linked = ".52" if encryption.sub_patch_grid > 1 else (".64" if encryption.interval < 4 else ".55")
    return (
        f"A person can be linked across pictures: {linked} of portraits were matched to the right one of 40 "
        "people without any learning (chance .025, plain pictures .90)."
    )


def _share(value: float) -> str:
    return "all" if value >= 0.995 else f"{value:.2f}"[1:]
