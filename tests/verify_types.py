"""Check how much of the public surface has types that a type checker knows: `make quality` runs this.

Types that come from packages without types of their own, such as `datasets`, are counted out.
"""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

PACKAGE = "hipmr_hf"
LEAST = 0.95
SOURCES = Path(__file__).parent.parent / "src"


def _report() -> dict[str, object]:
    """Run the checker, which takes the first `python` of PATH for the one whose packages it reads."""
    scripts = sysconfig.get_path("scripts")
    paths = {
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")]),
        "PYTHONPATH": str(SOURCES),
    }
    checker = Path(scripts) / "basedpyright"
    command = [str(checker), "--verifytypes", PACKAGE, "--ignoreexternal", "--outputjson"]
    # It ends with 1 for any single symbol without a type, and so its exit status tells nothing here.
    found = subprocess.run(command, env={**os.environ, **paths}, capture_output=True, text=True, check=False)
    return json.loads(found.stdout)["typeCompleteness"]


def main() -> None:
    """Print the share of known types, and what lacks them if it is too small."""
    report = _report()
    score = report["completenessScore"]
    print(f"types of the public surface: {score:.1%} known, at least {LEAST:.0%} expected")
    if score < LEAST:
        for symbol in report["symbols"]:
            if symbol["isExported"] and not symbol["isTypeKnown"]:
                print(f"  {symbol['name']}")
        sys.exit(1)


if __name__ == "__main__":
    main()
