"""One module a command: `HELP`, `add_arguments(parser)` and `run(options)`, which does the heavy imports."""

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
