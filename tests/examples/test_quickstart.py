import subprocess
import sys

from datasets import load_dataset
from example_helpers import EXAMPLES, results
from PIL import Image
from transformers import AutoModelForImageClassification


def test_the_quick_start_runs_to_the_end(tmp_path):
    """One epoch instead of forty; everything else as `make quickstart` does it."""
    output = tmp_path / "quickstart"
    command = [sys.executable, str(EXAMPLES / "quickstart.py"), "--output_dir", str(output), "--epochs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    assert "PEViT, trained and tested on encrypted images, reloaded with AutoModel:" in done.stdout
    for picture in ("plain_and_encrypted.png", "curves.png"):
        with Image.open(output / picture) as image:
            assert image.width > 600
    assert done.stdout.count("  epoch 1 of 1: loss ") == 2 and ", accuracy 0." in done.stdout
    model = AutoModelForImageClassification.from_pretrained(output / "pevit")
    encrypted = load_dataset(str(output / "encrypted"), cache_dir=str(tmp_path / "cache"))
    assert model.config.num_labels == 10 and len(encrypted["test"]) == 360
    shown = float(done.stdout.split("reloaded with AutoModel:")[1].split("%")[0])
    assert shown == round(100 * results(output / "pevit")["eval_accuracy"], 1)


def test_a_second_run_does_not_write_over_the_first(tmp_path):
    (tmp_path / "something").touch()
    command = [sys.executable, str(EXAMPLES / "quickstart.py"), "--output_dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "is not empty; remove it or name another" in done.stderr
