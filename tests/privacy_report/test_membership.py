"""`hipmr audit --checkpoint`: who was trained on is found where a model learns by heart, else not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image
from PIL import Image as PILImage

from hipmr_hf import RandomShuffling, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.attacks.shadow_rows import deal_rows, row_name, save_rows, shadow_folders
from hipmr_hf.cli import main
from hipmr_hf.errors import InputValueError
from hipmr_hf.privacy_report.membership import audit_checkpoint
from hipmr_hf.training.classification import build_pevit
from hipmr_hf.training.problems import label_names

SHUFFLING = RandomShuffling(image_size=16, patch_size=8)
CLASSES = ["cat", "dog", "owl"]
ROWS = 30
EPSILON = "---\ndifferential_privacy:\n  epsilon: 8.0\n  delta: 1.0e-05\n---\n"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory) -> Path:
    """Noise with random classes: what is right about it is learned by heart."""
    rng = np.random.default_rng(0)
    features = Features({"image": Image(), "label": ClassLabel(names=CLASSES)})
    splits = {}
    for split in ("train", "test"):
        pixels = rng.integers(0, 256, (ROWS, 16, 16, 3), dtype=np.uint8)
        rows = {"image": list(map(PILImage.fromarray, pixels)), "label": rng.integers(3, size=ROWS).tolist()}
        splits[split] = Dataset.from_dict(rows, features=features)
    folder = tmp_path_factory.mktemp("rows") / "encrypted"
    save_encrypted_dataset(encrypt_dataset(DatasetDict(splits), SHUFFLING), SHUFFLING, folder)
    return folder


@pytest.fixture(scope="module")
def models(encrypted, tmp_path_factory) -> Path:
    """`open`, `blind`, and shadow models of both: one learns its rows by heart, the other learns nothing."""
    root = tmp_path_factory.mktemp("models")
    dataset = DatasetDict.from_parquet(
        {split: str(next((encrypted / "data").glob(f"{split}-*"))) for split in ("train", "test")}
    )
    rows = [
        row for split in ("train", "test") for row in dataset[split].cast_column("image", Image(decode=False))
    ]
    names = [row_name(row["image"]["bytes"]) for row in rows]
    labels = torch.tensor([row["label"] for row in rows])
    _, processor = build_pevit(SHUFFLING, size="tiny")
    images = [row["image"] for split in ("train", "test") for row in dataset[split]]
    pixels = processor(images, return_tensors="pt")["pixel_values"]

    def trained(folder: Path, chosen: np.ndarray, seed: int, steps: int) -> None:
        torch.manual_seed(seed)
        small = {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
        model, _ = build_pevit(SHUFFLING, **small, patch_embedding="nonlinear", **label_names(CLASSES))
        optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
        known = torch.from_numpy(np.flatnonzero(chosen))
        for _ in range(steps):
            logits = model(pixel_values=pixels[known]).logits
            torch.nn.functional.cross_entropy(logits, labels[known]).backward()
            optimizer.step()
            optimizer.zero_grad()
        for part in (model, processor, SHUFFLING):
            part.save_pretrained(folder)
        save_rows(folder, (name for name, kept in zip(names, chosen, strict=True) if kept))

    for kind, steps in (("open", 120), ("blind", 0)):
        trained(root / kind, np.arange(2 * ROWS) < ROWS, seed=99, steps=steps)
        for number, chosen in enumerate(deal_rows(2 * ROWS, 4)):
            trained(root / f"{kind}_shadows" / str(number), chosen, number, steps)
    (root / "blind" / "README.md").write_text(EPSILON)
    return root


def test_members_of_a_model_that_learned_by_heart_are_found_and_of_one_that_did_not_are_not(
    encrypted, models, tmp_path, capsys
):
    command = ["audit", str(encrypted), "--output-dir", str(tmp_path / "out"), "--num-images", "1"]
    for kind in ("open", "blind"):
        command += ["--checkpoint", str(models / kind), "--shadows", str(models / f"{kind}_shadows")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "Membership: of a model trained without privacy, " in printed
    assert "Membership: of a model trained with epsilon 8 at delta 1e-05, " in printed
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    heart, nothing = report["membership"]
    # Of 30 others none may be taken wrongly at 1 %, so the first three members are a tenth of all.
    assert heart["area"] > 0.8 and heart["found"]["0.01"] > 0.05 and heart["members_accuracy"] > 0.9
    assert abs(nothing["area"] - 0.5) < 0.2 and nothing["found"]["0.01"] < 0.2
    assert (heart["shadows"], heart["variant"], heart["members"], heart["others"]) == (4, "offline", 30, 30)
    assert (nothing["epsilon"], nothing["delta"], heart["epsilon"]) == (8.0, 1e-5, None)
    holders = {row["holder"]: row["membership"] for row in report["settings"][0]["who_can_learn_what"]}
    assert holders["server"] == holders["client"] == f"measured: {heart['sentence']}; {nothing['sentence']}"
    assert holders["builder"].startswith("by design")
    for name in ("report.md", "report.html"):
        page = (tmp_path / "out" / name).read_text()
        assert "Who was trained on" in page and "with epsilon 8 at delta 1e-05" in page
        assert str(models) not in page


def test_shadow_models_that_do_not_fit_are_one_line(encrypted, models, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--shadows: .* has no folder with a trained_on.txt"):
        shadow_folders(tmp_path)
    shadows = tmp_path / "shadows"
    for number in range(4):
        (shadows / str(number)).mkdir(parents=True)
        save_rows(shadows / str(number), ["of another dataset"])
        SHUFFLING.save_pretrained(shadows / str(number))
        if number == 2:
            with pytest.raises(
                InputValueError, match="--shadows: found 3 shadow models, expected at least 4"
            ):
                audit_checkpoint(str(models / "open"), shadows, str(encrypted))
    with pytest.raises(InputValueError, match="--shadows: they know no rows of"):
        audit_checkpoint(str(models / "open"), shadows, str(encrypted))
    with pytest.raises(InputValueError, match="num_models: got 1"):
        deal_rows(10, 1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--checkpoint", "pevit"], "--checkpoint: got 1, and 0 times --shadows"),
        (
            ["--checkpoint", "pevit", "--shadows", "x"],
            "--checkpoint: rows of the encrypted dataset are asked",
        ),
    ],
)
def test_a_checkpoint_needs_shadow_models_and_rows(more, message, tmp_path, capsys):
    PILImage.new("RGB", (64, 64)).save(tmp_path / "1.png")
    assert main(["audit", str(tmp_path), "--output-dir", str(tmp_path / "out"), *more]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
