"""Encrypt an image dataset that is too large for one machine, on a Ray cluster.

On the first machine, and then on every other one (docs/clusters.md tells what they must share):

    ray start --head --port 6379
    ray start --address FIRST_MACHINE:6379

Then, on the first one:

    export RAY_ADDRESS=FIRST_MACHINE:6379
    python examples/encrypt_dataset_ray.py --dataset_name /shared/scans --output_dir /shared/encrypted \
        --image_size 224 --patch_size 16 --interval 4 --drop_ratio 0.25 --num_shards 64

Without RAY_ADDRESS it runs on the processors of one machine. `hipmr encrypt --engine ray` does the same, with
all of its settings, and publishes the result with `--push-to-hub`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from transformers import HfArgumentParser

from hipmr_hf import RandomShuffling
from hipmr_hf.dataset.ray_engine import encrypt_dataset_ray
from hipmr_hf.dataset.run import EncryptionJob


@dataclass
class Arguments:
    dataset_name: str = field(
        metadata={"help": "Image folder, folder of parquet files, or dataset on the Hub."}
    )
    output_dir: Path = field(
        metadata={"help": "A folder that does not exist yet, and that all machines see."}
    )
    image_column: str = "image"
    keep_columns: list[str] = field(default_factory=lambda: ["label"])
    image_size: int = 224
    patch_size: int = 16
    interval: int = field(default=0, metadata={"help": "Pixels lost between neighbouring patches, even."})
    drop_ratio: float = field(default=0.0, metadata={"help": "Share of the patches left out."})
    key_file: Path | None = field(
        default=None, metadata={"help": "A key of `hipmr keygen`, at this path on every machine."}
    )
    shuffle_rows: bool = field(default=False, metadata={"help": "Put the rows into random order."})
    on_error: Literal["raise", "skip"] = "raise"
    num_shards: int | None = field(
        default=None, metadata={"help": "Parquet files a split. Default: one for each 500 MB."}
    )


def main(args: Arguments) -> None:
    encryption = RandomShuffling(
        image_size=args.image_size,
        patch_size=args.patch_size,
        interval=args.interval,
        drop_ratio=args.drop_ratio,
    )
    job = EncryptionJob(
        encryption,
        image_column=args.image_column,
        keep_columns=tuple(args.keep_columns),
        on_error=args.on_error,
        shuffle_rows=args.shuffle_rows,
    )
    folder = encrypt_dataset_ray(
        job, [args.dataset_name], args.output_dir, key_file=args.key_file, num_shards=args.num_shards
    )
    print(f"{encryption}\nwritten to {folder}: {sorted(path.name for path in folder.rglob('*.parquet'))}")


if __name__ == "__main__":
    main(HfArgumentParser(Arguments).parse_args_into_dataclasses()[0])
