"""An environment that holds what `pip install hipmr-hf` brings and nothing else."""

import dataclasses
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_BUILT_FROM = ("src", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
_PIP = ("--quiet", "--disable-pip-version-check", "--retries", "1")
_UNREACHABLE = "connection broken by"  # pip's words
_VENVS_OWN = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")


@dataclasses.dataclass(frozen=True)
class BareEnvironment:
    """A virtual environment with a wheel of this checkout in it.

    Args:
        folder: where it lies.
        megabytes: what the package and all that it needs take of the disk, as installed.
    """

    folder: Path
    megabytes: float = float("nan")

    @functools.cached_property
    def packages(self) -> Path:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        return Path(self.run("python", "-c", code, cwd=self.folder).stdout.strip())

    def run(
        self, program: str, *arguments: object, cwd: Path, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `python`, `pip` or `hipmr` of this environment, out of reach of the checkout's sources."""
        variables = dict(os.environ if environment is None else environment)
        for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
            variables.pop(name, None)
        words = [str(self.folder / "bin" / program), *map(str, arguments)]
        return subprocess.run(
            words, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300, check=False
        )


@pytest.fixture(scope="session")
def bare(tmp_path_factory) -> BareEnvironment:
    """Build a wheel as others do, from a copy so that the checkout stays clean, and install it."""
    work = tmp_path_factory.mktemp("bare")
    _copy_sources(work / "sources")
    environment = BareEnvironment(work / "venv")
    subprocess.run([sys.executable, "-m", "venv", environment.folder], check=True)
    _pip(environment, work, "wheel", "--no-deps", "--wheel-dir", "wheels", "./sources")
    (wheel,) = (work / "wheels").glob("*.whl")
    _pip(environment, work, "install", "--constraint", ROOT / "constraints.txt", wheel)
    return dataclasses.replace(environment, megabytes=_size(environment.packages) / 1e6)


def _copy_sources(folder: Path) -> None:
    folder.mkdir()
    for name in _BUILT_FROM:
        if (ROOT / name).is_dir():
            no_products = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, folder / name, ignore=no_products)
        else:
            shutil.copy(ROOT / name, folder)


def _pip(environment: BareEnvironment, work: Path, command: str, *arguments: object) -> None:
    done = environment.run("pip", command, *_PIP, *arguments, cwd=work)
    if done.returncode and _UNREACHABLE in done.stderr:
        pytest.skip("needs a package registry, and pip cannot reach one")
    assert not done.returncode, [line for line in done.stderr.splitlines() if line.startswith("ERROR")]


def _size(packages: Path) -> int:
    """Bytes of what is installed, but for what every virtual environment has."""
    ours = [path for path in packages.iterdir() if not path.name.startswith(_VENVS_OWN)]
    files = [file for path in ours for file in (path, *path.rglob("*")) if file.is_file()]
    return sum(file.stat().st_size for file in files)
