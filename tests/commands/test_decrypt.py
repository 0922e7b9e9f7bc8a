import numpy as np
from command_helpers import RS, only_error, picture, rows_of, run

from hipmr_hf.images.reading import read_image


def test_what_a_key_encrypted_it_decrypts(images, tmp_path):
    run("keygen", tmp_path / "a.key")
    key = ("--key-file", tmp_path / "a.key")
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS, *key, "--num-proc", 2) == 0
    assert run("decrypt", tmp_path / "out", "--output-dir", tmp_path / "back", *key) == 0
    back = rows_of(tmp_path / "back")
    assert [row["label"] for row in back] == [0, 0, 0, 1, 1, 1] and "nonce" not in back[0]
    for row, seed in zip(back, (0, 2, 4, 1, 3, 5), strict=True):
        assert (read_image(row["image"]["bytes"]) == np.asarray(picture(seed))).all()
    assert (tmp_path / "back").stat().st_mode & 0o077 == 0


def test_what_cannot_be_decrypted_says_so_before_any_work(images, tmp_path, capsys):
    run("keygen", tmp_path / "a.key")
    key = ("--key-file", tmp_path / "a.key")
    run("encrypt", images, "--output-dir", tmp_path / "one-time", *RS)
    run("encrypt", images, "--output-dir", tmp_path / "eroded", *RS, "--interval", 2, *key)
    for name, reason in (("one-time", "encrypted without a key"), ("eroded", "interval=2 lost pixels")):
        capsys.readouterr()
        assert run("decrypt", tmp_path / name, "--output-dir", tmp_path / "back", *key) == 2
        assert reason in only_error(capsys) and not list(tmp_path.glob("*back*"))


def test_a_wrong_key_is_told_before_any_work(images, tmp_path, capsys):
    for name in ("right.key", "wrong.key"):
        run("keygen", tmp_path / name)
    run("encrypt", images, "--output-dir", tmp_path / "out", *RS, "--key-file", tmp_path / "right.key")
    capsys.readouterr()
    command = ("decrypt", tmp_path / "out", "--output-dir", tmp_path / "back")
    assert run(*command, "--key-file", tmp_path / "wrong.key") == 2
    assert "but the dataset was encrypted with key" in only_error(capsys)
    assert not list(tmp_path.glob("*back*"))
