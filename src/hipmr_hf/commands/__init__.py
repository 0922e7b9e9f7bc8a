"""One module a command: `HELP`, `add_arguments(parser)` and `run(options)`, which does the heavy imports."""

from . import convert, decrypt, encrypt, env, keygen

COMMANDS = {
    "keygen": keygen,
    "encrypt": encrypt,
    "decrypt": decrypt,
    "convert": convert,
    "env": env,
}
