import io

from hipmr_hf.training.follow import _tell

# What Trainer prints: figures as text, an evaluation after the loss, the last one twice.
LOGGED = [
    line
    for epoch in range(1, 41)
    for line in (
        f"{{'loss': '{4 - epoch / 20:.3f}', 'grad_norm': '1', 'epoch': '{epoch}'}}\n",
        "a warning of a library\n",
        f"{{'eval_accuracy': '{epoch / 80}', 'epoch': '{epoch}'}}\n",
    )
]
LOGGED += ["{'eval_accuracy': '0.5', 'epoch': '40'}\n", "{'not': figures}\n"]
WORDS = {"loss": "loss", "eval_accuracy": "accuracy"}


def test_ten_lines_tell_of_a_long_training_and_the_log_has_all(capsys):
    log = io.StringIO()
    _tell(LOGGED, log, 40, WORDS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("  epoch 4 of 40: loss 3.800, accuracy 0.050 (")
    assert lines[-1].startswith("  epoch 40 of 40: loss 2.000, accuracy 0.500 (")
    assert log.getvalue() == "".join(LOGGED)


def test_each_epoch_of_a_short_training_is_told_once(capsys):
    _tell(LOGGED[:9] + LOGGED[8:9], io.StringIO(), 3, WORDS)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["1", "2", "3"]
