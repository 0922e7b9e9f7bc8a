import numpy as np
from datasets import load_dataset
from PIL import Image

from hipmr_hf import Encryption, MixingUp, RandomShuffling, SecretKey

SCRIPT = "encrypt_dataset.py"


def image_folder(root):
    for split, count in (("train", 6), ("test", 2)):
        for i in range(count):
            path = root / split / f"class{i % 2}" / f"patient_{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    return root


def test_an_image_folder_becomes_an_encrypted_dataset(launch, tmp_path):
    launch(
        SCRIPT,
        "--dataset_name",
        image_folder(tmp_path / "in"),
        "--output_dir",
        tmp_path / "out",
        "--image_size",
        32,
        "--patch_size",
        8,
        "--interval",
        2,
        "--drop_ratio",
        0.5,
    )

    expected = RandomShuffling(image_size=32, patch_size=8, interval=2, drop_ratio=0.5)
    assert Encryption.from_pretrained(tmp_path / "out") == expected
    encrypted = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in encrypted.items()} == {"train": 6, "test": 2}
    assert encrypted["train"].features["label"].names == ["class0", "class1"]
    assert encrypted["train"][0]["image"].size == (24, 12)
    assert b"patient" not in (tmp_path / "out" / "data" / "train-00000-of-00001.parquet").read_bytes()


def test_a_parquet_file_with_a_key(example, tmp_path):
    from transformers import HfArgumentParser

    image = {
        "bytes": (image_folder(tmp_path / "in") / "train/class0/patient_0.png").read_bytes(),
        "path": None,
    }
    from datasets import Dataset, Features, Value
    from datasets import Image as ImageFeature

    features = Features({"image": ImageFeature(), "label": Value("int64")})
    Dataset.from_dict({"image": [image] * 3, "label": [0, 1, 2]}, features=features).to_parquet(
        tmp_path / "a.parquet"
    )
    SecretKey.generate().save(tmp_path / "owner.key")
    module = example(SCRIPT)
    arguments = [
        "--dataset_name",
        str(tmp_path / "a.parquet"),
        "--output_dir",
        str(tmp_path / "out"),
        "--image_size",
        "32",
        "--patch_size",
        "8",
        "--key_file",
        str(tmp_path / "owner.key"),
        "--max_samples",
        "2",
    ]
    module.main(HfArgumentParser(module.Arguments).parse_args_into_dataclasses(arguments)[0])

    rows = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    key = SecretKey.load(tmp_path / "owner.key")
    encryption = Encryption.from_pretrained(tmp_path / "out")
    assert len(rows) == 2 and rows[0]["nonce"] != rows[1]["nonce"]
    plain = [encryption.decrypt(row["image"], key=key, nonce=row["nonce"]) for row in rows]
    assert np.array_equal(plain[0], plain[1]) and not np.array_equal(rows[0]["image"], rows[1]["image"])


def test_mixing_up_keeps_each_images_own_size(example, tmp_path):
    from transformers import HfArgumentParser

    module = example(SCRIPT)
    arguments = [
        "--dataset_name",
        str(image_folder(tmp_path / "in")),
        "--output_dir",
        str(tmp_path / "out"),
        "--strategy",
        "mi",
        "--patch_size",
        "8",
    ]
    module.main(HfArgumentParser(module.Arguments).parse_args_into_dataclasses(arguments)[0])
    assert Encryption.from_pretrained(tmp_path / "out") == MixingUp(patch_size=8)
    rows = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows[0]["image"].size == (24, 20)
