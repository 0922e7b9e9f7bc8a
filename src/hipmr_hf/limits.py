"""What attackers recovered from each encryption, in sentences for cards.

The figures were measured on 60 natural photographs at 224 x 224 pixels with patches of 16 (neighbours,
thumbnails), and on 40 people with 10 portraits each (identity). All are lower bounds of what leaks.
"""

from .encryption import Encryption

# Share of true neighbours that a jigsaw solver put back, by interval and drop ratio; chance is .005.
_NEIGHBOURS = {
    (0, 0.0): 0.97,
    (2, 0.0): 0.49,
    (4, 0.0): 0.25,
    (0, 0.25): 0.90,
    (0, 0.5): 0.76,
    (2, 0.25): 0.42,
}
# Share of patches whose best-scoring neighbour is the true one, for patches that are mixed as well: by an
# attacker who compares borders, and by one who was trained.
_MIXED = {(False, False): (0.18, 0.35), (False, True): (0.09, 0.22), (True, False): (0.05, None)}
_MIXED |= {(True, True): (0.012, 0.024)}


def what_is_not_protected(encryption: Encryption, *, keyed: bool = False) -> list[str]:
    """Return what images with these settings give away, a sentence each.

    Args:
        encryption: the settings.
        keyed: the permutations can be drawn again with a key.

    Example:

        >>> from hipmr_hf import RandomShuffling
        >>> print(what_is_not_protected(RandomShuffling())[0])
        A jigsaw solver puts back .97 of the neighbouring patches (chance .005): the picture is back.
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
    if encryption.sub_patch_grid > 1:
        by_borders, trained = _MIXED[encryption.sub_patch_symmetries, encryption.patch_normalization]
        more = f", and {_share(trained)} by one who was trained for it" if trained else ""
        return (
            f"The true neighbour of a patch is found in {_share(by_borders)} of the cases by an attacker who "
            f"compares borders (chance .005){more}; from there, fragments of the picture can be put together."
        )
    measured = _NEIGHBOURS.get((encryption.interval, encryption.drop_ratio))
    if measured is None:
        return (
            "A jigsaw solver puts patches back together: .97 of the neighbours (chance .005) with nothing "
            "lost, .49 with an interval of 2 pixels, .25 with 4, .76 with half of the patches dropped."
        )
    seen = "the picture is back" if measured > 0.9 else "large pieces can be seen again"
    seen = "fragments can be seen again" if measured < 0.45 else seen
    return f"A jigsaw solver puts back {_share(measured)} of the neighbouring patches (chance .005): {seen}."


def _on_thumbnails(encryption: Encryption) -> str:
    if encryption.sub_patch_symmetries and encryption.patch_normalization:
        return "Patches keep their places, so coarse outlines of the scene can be guessed."
    if encryption.patch_normalization:
        return "Patches keep their places: a sketch of the scene's edges can be seen with no attack."
    return (
        "Patches keep their places: a thumbnail of one exact pixel per patch can be read with no attack. The "
        "scene is plain, and from 512 pixels on a close-up face can be identified. An inversion reaches 23 "
        "to 25 dB PSNR."
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
    return f"{value:.3f}".rstrip("0")[1:]
