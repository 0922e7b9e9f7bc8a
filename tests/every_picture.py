"""Gather every picture file that the installed packages carry."""

import contextlib
import shutil
import sysconfig
from pathlib import Path

import PIL.Image

from hipmr_hf.dataset.sources.kinds import OTHER_SUFFIXES, READABLE_SUFFIXES, suffix_of

# Some of the pictures are written in each of these too, for few packages carry any.
WRITTEN = (".webp", ".avif", ".jp2", ".bmp", ".ppm", ".gif", ".tif", ".jpg", ".mpo", ".tga", ".pcx")
SUFFIXES = READABLE_SUFFIXES | OTHER_SUFFIXES | {".svg", ".ico", ".npy", ".pdf"}


def gather_pictures(root: Path) -> Path:
    """What is installed here, under its own names and folders, again in other formats, and some odd files."""
    packages = Path(sysconfig.get_paths()["purelib"])
    for path in sorted(packages.rglob("*")):
        if path.is_file() and suffix_of(path.name) in SUFFIXES and path.stat().st_size < 2**22:
            copy = root / path.relative_to(packages)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    found = sorted(path for path in root.rglob("*") if suffix_of(path.name) in READABLE_SUFFIXES)
    for path in found[:: max(1, len(found) // 25)]:
        with contextlib.suppress(OSError, ValueError), PIL.Image.open(path) as image:
            small = image.convert("RGBA").convert("RGB")
            small.thumbnail((256, 256))
            for suffix in WRITTEN:
                small.save(path.with_name(f"{path.stem}_as{suffix}"))
    (root / ".hidden").mkdir()
    shutil.copyfile(found[0], root / ".hidden" / "a.png")
    (root / "notes.txt").write_text("no picture")
    (root / "torn.png").write_bytes(found[0].read_bytes()[:60])
    return root
