import re

from command_helpers import only_error, run

from hipmr_hf.cli import build_parser
from hipmr_hf.encryption.keys import SecretKey


def test_a_key_is_private_and_never_overwritten(tmp_path, capsys):
    assert run("keygen", tmp_path / "a.key") == 0
    before = (tmp_path / "a.key").read_bytes()
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    assert before.split()[-1].decode() not in capsys.readouterr().out
    assert run("keygen", tmp_path / "a.key") == 2
    assert "never overwritten" in only_error(capsys) and (tmp_path / "a.key").read_bytes() == before


def test_it_says_what_the_key_is_for_and_what_to_do_with_it(tmp_path, capsys):
    path = tmp_path / "my a.key"
    assert run("keygen", path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Key: {path}" and SecretKey.load(path).key_id in lines[1]
    assert lines[2].startswith("For good: if this file is lost, nothing can be decrypted")
    assert lines[3] == f"Next: hipmr encrypt SOURCE --output-dir DIR --preset reversible --key-file '{path}'"


def test_the_help_says_what_no_key_brings_back(capsys):
    assert run("keygen", "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "with which an encryption that loses no pixels can be undone" in shown
    assert "no key brings back" in shown and "without their names" in shown
    options = build_parser("encrypt").parse_args(["encrypt", "a", "--output-dir", "b"])
    for flag in re.findall(r"--[a-z-]+", shown.partition("What ")[2]):  # all of them exist
        assert hasattr(options, flag[2:].replace("-", "_")), flag
