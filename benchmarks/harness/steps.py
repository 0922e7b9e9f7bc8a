"""The steps of a run on a picture, one by one and with nothing around them, as a run takes them."""

import numpy as np

from hipmr_hf import Encryption
from hipmr_hf.encryption.decoding import Sized
from hipmr_hf.encryption.placement import place
from hipmr_hf.images.reading import read_image

Decoded = tuple[np.ndarray, Sized]


def decode(file: bytes, encryption: Encryption) -> Decoded:
    """Decode a file to as many pixels as the settings want, and tell of how many it was."""
    sized = Sized(encryption)
    return read_image(file, least=sized), sized


def resize(decoded: Decoded, encryption: Encryption) -> np.ndarray:
    """Resize and crop what was decoded."""
    plain, sized = decoded
    placement = encryption.placement(*(sized.size or plain.shape[:2]))
    return place(plain, placement, stretches=sized.stretches(plain))
