"""Encrypt a dataset where the plain images live, and optionally publish it: `hipmr encrypt` from Python.

    python examples/owner/encrypt_dataset.py --dataset_name path/to/images --output_dir outputs/encrypted \
        --preset classification --image_size 224

`--dataset_name` is an image folder, parquet files or a dataset on the Hub. The rows are read as a stream, so
no plain copy of them stays anywhere. The result has `data/*.parquet`, `encryption_config.json` and a card,
and was searched for leaks; `load_dataset(output_dir)` reads it, and `--push_to_hub` publishes it. A killed
run goes on when it is started again. `hipmr presets` lists the presets; settings one by one, such as
`--strategy rs --interval 4 --drop_ratio 0.25`, are taken instead. Nobody can undo it without `--key_file`,
which `hipmr keygen` makes; what an attacker gets back all the same, the card tells.

With `--engine ray` all machines of a Ray cluster work on it; `docs/clusters.md` tells what they must share.
"""

import argparse
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hipmr_hf import SecretKey
from hipmr_hf.commands.settings_arguments import settings_from
from hipmr_hf.dataset.job import EncryptionJob
from hipmr_hf.dataset.run import encrypt_source
from hipmr_hf.hub.publishing import push_encrypted_folder
from hipmr_hf.training.script import parse_arguments, run_script


@dataclass
class DataArguments:
    dataset_name: list[str] = field(metadata={"help": "Image folder, parquet files or dataset on the Hub."})
    output_dir: Path = field(metadata={"help": "A folder that does not exist yet."})
    image_column: str = "image"
    keep_columns: list[str] | None = field(
        default=None, metadata={"help": "Published as they are. Default: label, objects."}
    )
    image_format: Literal["png", "jpeg", "webp"] = "png"
    on_error: Literal["raise", "skip"] = "raise"
    shuffle_rows: bool = field(default=False, metadata={"help": "Put the rows into random order."})
    push_to_hub: str | None = field(
        default=None, metadata={"help": "Repository on the Hub, made private if new."}
    )


@dataclass
class EncryptionArguments:
    """What is not given keeps the strategy's default; with nothing but a size, the default preset."""

    preset: str | None = field(default=None, metadata={"help": "Settings by name, as `hipmr presets` lists."})
    strategy: Literal["rs", "mi"] | None = field(
        default=None, metadata={"help": "Random shuffling or mixing-up. Default: rs."}
    )
    image_size: list[int] | None = field(
        default=None, metadata={"help": "Default: 224, and for --strategy mi the image's own."}
    )
    shorter_side: int | None = field(default=None, metadata={"help": "mi or dense, instead of image_size."})
    longer_side: int | None = field(default=None, metadata={"help": "With it: most pixels."})
    patch_size: int | None = field(default=None, metadata={"help": "Default: 16."})
    interval: int | None = field(
        default=None, metadata={"help": "rs: pixels lost between neighbouring patches, even."}
    )
    drop_ratio: float | None = field(default=None, metadata={"help": "rs: share of the patches left out."})
    sub_patch_grid: int | None = field(default=None, metadata={"help": "Default: 1 for rs, 2 for mi."})
    sub_patch_symmetries: bool = field(default=False, metadata={"help": "Turn each sub-patch at random."})
    patch_normalization: bool = field(default=False, metadata={"help": "Take brightness and contrast away."})
    shuffle_tones: bool = field(default=False, metadata={"help": "Deal brightness and contrast out anew."})
    jpeg_decoding: Literal["reduced", "full"] | None = field(
        default=None, metadata={"help": "Default: reduced."}
    )


@dataclass
class RunArguments:
    key_file: Path | None = field(
        default=None, metadata={"help": "A key of `hipmr keygen`; with ray, at this path on every machine."}
    )
    engine: Literal["local", "ray"] = "local"
    num_proc: int = field(default=1, metadata={"help": "local: worker processes."})
    num_shards: int | None = field(
        default=None, metadata={"help": "Parquet files a split. Default: one for each 500 MB."}
    )


def publish(repo_id: str, keys: list[SecretKey], folder: Path) -> None:
    print(f"Published: {push_encrypted_folder(folder, repo_id, private=True, keys=keys)}")


def main(arguments: list[str] | None = None) -> Path:
    groups = {"data": DataArguments, "encryption": EncryptionArguments, "run": RunArguments}
    data, settings, run = parse_arguments(groups, arguments)
    key = None if run.key_file is None else SecretKey.load(run.key_file)
    job = EncryptionJob(
        settings_from(argparse.Namespace(**vars(settings))),
        key=key if run.engine == "local" else None,  # with Ray a key never travels: each machine reads it
        image_column=data.image_column,
        keep_columns=None if data.keep_columns is None else tuple(data.keep_columns),
        image_format=data.image_format,
        on_error=data.on_error,
        shuffle_rows=data.shuffle_rows,
    )
    keys = [] if key is None else [key]
    folder = encrypt_source(
        job,
        data.dataset_name,
        data.output_dir,
        num_proc=run.num_proc,
        engine=run.engine,
        key_file=str(run.key_file) if run.engine == "ray" and key is not None else None,
        num_shards=run.num_shards,
        repo_id=data.push_to_hub,
        on_complete=data.push_to_hub and functools.partial(publish, data.push_to_hub, keys),
    )
    print(f"{job.encryption}\nEncrypted dataset: {folder}")
    return folder


if __name__ == "__main__":
    run_script(main)
