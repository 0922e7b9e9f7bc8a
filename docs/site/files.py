"""The site has the tree of the repository, so that one link leads to the right place in both.

A hook of mkdocs. README is the first page; what pages link to beside pages, such as scripts, goes along.
"""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent.parent
PUBLISHED = (
    "*.md",
    "LICENSE",
    "docs/**/*.md",
    "docs/**/*.png",
    "docs/**/*.css",
    "examples/**/*",
    "benchmarks/*.md",
    "clients/browser/*.md",
    "clients/browser/*.ts",
    "tests/vectors/*.json",
)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Take the theme's own files, and those of the repository under their paths in it."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    paths = sorted({path for pattern in PUBLISHED for path in ROOT.glob(pattern) if path.is_file()})
    ours = [
        File(path.relative_to(ROOT).as_posix(), str(ROOT), config.site_dir, config.use_directory_urls)
        for path in paths
        if "__pycache__" not in path.parts
    ]
    return Files([*theme, *ours])
