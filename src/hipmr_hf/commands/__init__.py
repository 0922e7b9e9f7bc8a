"""One module a command: `HELP`, `EPILOG`, `add_arguments(parser)` and `run(options)`.

In: what was typed. Out: an exit code, and at the end a `summary` of what was made, where, how much, what is
for good and what comes next. `run` does the heavy imports, so that help is quick.
"""

from . import audit, convert, decrypt, encrypt, env, keygen, leaks

COMMANDS = {
    "keygen": keygen,
    "encrypt": encrypt,
    "decrypt": decrypt,
    "audit": audit,
    "leaks": leaks,
    "convert": convert,
    "env": env,
}
