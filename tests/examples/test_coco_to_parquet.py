import json
import sys

import numpy as np
from datasets import load_dataset
from PIL import Image

from hipmr_hf import MixingUp, encrypt_dataset


def test_cocos_files_become_columns_that_can_be_encrypted(example, monkeypatch, tmp_path):
    """Ids of categories have gaps; images may have no objects; crowds are kept and marked."""
    (tmp_path / "images").mkdir()
    for name, value in (("a", 20), ("b", 120), ("c", 220)):
        Image.fromarray(np.full((32, 48, 3), value, np.uint8)).save(tmp_path / "images" / f"{name}.png")
    box = {"image_id": 7, "bbox": [1.0, 2.0, 8.0, 4.0], "area": 20.0, "segmentation": [[1, 2, 3, 4]]}
    content = {
        "images": [{"id": i, "file_name": f"{name}.png"} for i, name in ((7, "a"), (3, "b"), (9, "c"))],
        "categories": [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}],
        "annotations": [
            {**box, "category_id": 90, "iscrowd": 0},
            {**box, "category_id": 1, "iscrowd": 1},
            {**box, "category_id": 1, "iscrowd": 0, "image_id": 9},
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    command = ["coco_to_parquet.py", "--images", str(tmp_path / "images"), "--split", "train"]
    command += ["--annotations", str(tmp_path / "instances.json"), "--images_per_file", "2"]
    monkeypatch.setattr(sys, "argv", [*command, "--output_dir", str(tmp_path / "plain")])
    example("owner/coco_to_parquet.py").main()

    assert len(list((tmp_path / "plain" / "data").iterdir())) == 2
    rows = load_dataset(str(tmp_path / "plain"), cache_dir=str(tmp_path / "cache"))["train"]
    assert rows.features["objects"]["category"].feature.names == ["person", "toothbrush"]
    assert [row["objects"]["category"] for row in rows] == [[1, 0], [], [0]]
    assert rows[0]["objects"]["iscrowd"] == [0, 1] and rows[0]["objects"]["area"] == [20.0, 20.0]
    assert np.asarray(rows[1]["image"]).mean() == 120
    encrypted = encrypt_dataset(rows, MixingUp(patch_size=8), keep_columns=["objects"])
    assert encrypted[2]["objects"]["bbox"] == [[0.5, 1.0, 4.0, 2.0]]
