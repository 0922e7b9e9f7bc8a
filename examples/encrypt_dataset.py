"""Encrypt an image dataset where the plain images live, and optionally publish it.

    python examples/encrypt_dataset.py --dataset_name path/to/image_folder --output_dir outputs/encrypted \
        --strategy rs --image_size 224 --patch_size 16 --interval 4 --drop_ratio 0.25

`--dataset_name` is an image folder, a parquet file or a dataset on the Hub. The rows are read as a stream, so
no plain copy of them stays in a cache. The result has `data/*.parquet` and `encryption_config.json`:
`load_dataset(output_dir)` reads it, and `--push_to_hub` publishes it. Nobody can undo it without
`--key_file`, which `hipmr keygen` makes; how much an attacker gets back all the same is what the table in
README tells.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from datasets import IterableDatasetDict, load_dataset
from huggingface_hub import HfApi
from transformers import HfArgumentParser

from hipmr_hf import MixingUp, RandomShuffling, SecretKey, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.encryption import Encryption


@dataclass
class Arguments:
    dataset_name: str = field(metadata={"help": "Image folder, parquet file or dataset on the Hub."})
    output_dir: Path = field(metadata={"help": "A folder that does not exist yet."})
    image_column: str = "image"
    keep_columns: list[str] = field(default_factory=lambda: ["label"])
    max_samples: int | None = field(
        default=None, metadata={"help": "Encrypt only the first rows of a split."}
    )
    strategy: Literal["rs", "mi"] = field(default="rs", metadata={"help": "Random shuffling or mixing-up."})
    image_size: int | None = field(
        default=None, metadata={"help": "Default: 224 for rs, the image's own for mi."}
    )
    patch_size: int = 16
    interval: int = field(default=0, metadata={"help": "rs: pixels lost between neighbouring patches, even."})
    drop_ratio: float = field(default=0.0, metadata={"help": "rs: share of the patches left out."})
    sub_patch_grid: int | None = field(default=None, metadata={"help": "Default: 1 for rs, 2 for mi."})
    sub_patch_symmetries: bool = field(default=False, metadata={"help": "Turn each sub-patch at random."})
    patch_normalization: bool = field(default=False, metadata={"help": "Take brightness and contrast away."})
    shuffle_tones: bool = field(default=False, metadata={"help": "Deal brightness and contrast out anew."})
    key_file: Path | None = None
    image_format: Literal["png", "jpeg", "webp"] = "png"
    on_error: Literal["raise", "skip"] = "raise"
    push_to_hub: str | None = field(
        default=None, metadata={"help": "Repository on the Hub, made private if new."}
    )


def build_encryption(args: Arguments) -> Encryption:
    knobs = {
        "patch_size": args.patch_size,
        "sub_patch_symmetries": args.sub_patch_symmetries,
        "patch_normalization": args.patch_normalization,
        "shuffle_tones": args.shuffle_tones,
    }
    if args.strategy == "mi":
        return MixingUp(image_size=args.image_size, sub_patch_grid=args.sub_patch_grid or 2, **knobs)
    return RandomShuffling(
        image_size=args.image_size or 224,
        interval=args.interval,
        drop_ratio=args.drop_ratio,
        sub_patch_grid=args.sub_patch_grid or 1,
        **knobs,
    )


def load_stream(args: Arguments) -> IterableDatasetDict:
    """Open the plain images without copying them anywhere."""
    source = Path(args.dataset_name)
    if source.suffix == ".parquet":
        plain = load_dataset("parquet", data_files=str(source), streaming=True)
        # One row group at a time, instead of a whole file in memory.
        plain = IterableDatasetDict({name: split.reshard() for name, split in plain.items()})
    elif source.is_dir() and not any(source.rglob("*.parquet")):
        plain = load_dataset("imagefolder", data_dir=str(source), streaming=True)
    else:
        plain = load_dataset(args.dataset_name, streaming=True)
    if args.max_samples is not None:
        plain = IterableDatasetDict({name: split.take(args.max_samples) for name, split in plain.items()})
    return plain


def main(args: Arguments) -> None:
    encryption = build_encryption(args)
    key = None if args.key_file is None else SecretKey.load(args.key_file)
    encrypted = encrypt_dataset(
        load_stream(args),
        encryption,
        image_column=args.image_column,
        keep_columns=args.keep_columns,
        key=key,
        image_format=args.image_format,
        on_error=args.on_error,
    )
    folder = save_encrypted_dataset(encrypted, encryption, args.output_dir)
    print(f"{encryption}\nwritten to {folder}: {sorted(path.name for path in folder.rglob('*.parquet'))}")
    if args.push_to_hub is not None:
        api = HfApi()
        api.create_repo(args.push_to_hub, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(repo_id=args.push_to_hub, repo_type="dataset", folder_path=folder)


if __name__ == "__main__":
    main(HfArgumentParser(Arguments).parse_args_into_dataclasses()[0])
