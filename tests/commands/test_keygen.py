from command_helpers import only_error, run


def test_a_key_is_private_and_never_overwritten(tmp_path, capsys):
    assert run("keygen", tmp_path / "a.key") == 0
    before = (tmp_path / "a.key").read_bytes()
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    assert before.split()[-1].decode() not in capsys.readouterr().out
    assert run("keygen", tmp_path / "a.key") == 2
    assert "never overwritten" in only_error(capsys) and (tmp_path / "a.key").read_bytes() == before
