"""A process of node that answers questions about `hipmr.js`."""

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from client_helpers import CLIENT, find_node


@pytest.fixture(scope="session")
def node() -> str:
    return find_node()


@pytest.fixture(scope="module")
def ask(node) -> Iterator[Callable[..., Any]]:
    """Ask `clients/browser/tests/driver.mjs`."""
    command = [node, str(CLIENT / "tests" / "driver.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def answer(call: str, **asked: Any) -> Any:
            process.stdin.write(json.dumps({"call": call, **asked}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield answer
        process.stdin.close()
