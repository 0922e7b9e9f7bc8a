"""Photographs to measure with: crops of the real ones that come with scikit-learn, as many as needed."""

import io

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images


def photographs(count: int, height: int = 375, width: int = 500) -> list[np.ndarray]:
    """Cut crops out of real photographs, each at a place and a scale of its own: uint8 (height, width, 3).

    500 x 375 pixels is what most files of ImageNet have. The seed only chooses the crops.
    """
    generator = np.random.default_rng(0)
    sources = [Image.fromarray(image) for image in load_sample_images().images]
    crops = []
    for index in range(count):
        source = sources[index % len(sources)]
        scale = generator.uniform(0.6, 1.0) * min(source.width / width, source.height / height)
        left = generator.uniform(0, source.width - scale * width)
        top = generator.uniform(0, source.height - scale * height)
        box = (left, top, left + scale * width, top + scale * height)
        crop = np.asarray(source.resize((width, height), Image.Resampling.BICUBIC, box=box))
        crops.append(crop[:, ::-1] if generator.random() < 0.5 else crop)
    return crops


def jpeg_files(pictures: list[np.ndarray], quality: int = 90) -> list[bytes]:
    """Encode pictures as a camera or the web would: JPEG, 4:2:0."""
    files = []
    for pixels in pictures:
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=quality)
        files.append(buffer.getvalue())
    return files
