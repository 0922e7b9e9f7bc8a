"""Train PEViT on an encrypted dataset with differential privacy (DP-SGD, by Opacus).

What the model tells of any one picture is bounded by an epsilon, which its card states:

    pip install "hipmr-hf[dp]"
    python examples/run_image_classification_dp.py --dataset_name outputs/digits_rs \
        --output_dir outputs/pevit_dp --model_size tiny --num_train_epochs 20 --target_epsilon 8

One record is one row. Where a picture stands in several rows, such as one that was encrypted several times,
`--picture_column picture` names an id of the plain picture, which the owner kept (`hipmr encrypt
--keep-columns label picture`): then one record is one picture, of which a step takes one row at most. Without
it, the guarantee is for each row, and the card says so.

Labels may be one class a picture, lists of classes, or numbers. Mean and spread of numbers tell of all
records and have no noise, so a regression is scaled by a range that was known before: `--number_range 0 120`.

Privacy costs accuracy, least with many records: take large batches (`--expected_batch_size`), many epochs,
and a checkpoint that was trained on public images (`--model_name_or_path`). Mixup and a teacher's logits are
refused, for the guarantee would not hold. Evaluation needs a split of its own: a share that is held out by
class depends on all records. Killed runs go on with `--resume` from the last `--checkpoint_every_epoch`; what
was spent before counts. One process. A YAML file in first place gives defaults.
"""

import dataclasses
import itertools
import json
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from datasets import Dataset
from huggingface_hub import HfApi
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import default_data_collator

from hipmr_hf.errors import InputValueError
from hipmr_hf.files import whole_file
from hipmr_hf.hub.card_renewal import save_card
from hipmr_hf.hub.cards import ModelFacts, model_card
from hipmr_hf.hub.privacy_section import PrivacyFacts
from hipmr_hf.hub.publishing import card_on_the_hub
from hipmr_hf.hub.shareable_command import shareable_command
from hipmr_hf.training.augmentation import EncryptedAugmentation
from hipmr_hf.training.classification import (
    build_pevit,
    classification_loss,
    decaying_parameters,
    input_transform,
)
from hipmr_hf.training.private import (
    OneRowAPicture,
    PrivacyBudget,
    PrivateTraining,
    rows_of_pictures,
)
from hipmr_hf.training.private_terms import refuse_what_voids, scaled_in_private
from hipmr_hf.training.problems import Problem, ProblemType, problem_of
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.splits import at_most, load_encryption, load_splits

CHECKPOINT = "private_checkpoint.pt"


@dataclass
class Arguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of an encrypted dataset."})
    output_dir: Path = field(metadata={"help": "Where the model and the checkpoint go."})
    label_column: str = "label"
    problem_type: ProblemType | None = field(
        default=None, metadata={"help": "What the labels are taken for; default: what they are."}
    )
    number_range: list[float] | None = field(
        default=None, metadata={"help": "Lowest and highest number of a regression, known beforehand."}
    )
    picture_column: str | None = field(
        default=None, metadata={"help": "Id of the plain picture: all of its rows are one record."}
    )
    train_split: str = "train"
    eval_split: str = "test"
    max_train_samples: int | None = field(default=None, metadata={"help": "Only the first rows."})
    max_eval_samples: int | None = None
    target_epsilon: float = 8.0
    target_delta: float | None = field(
        default=None, metadata={"help": "Default: a tenth of one in the number of records."}
    )
    max_grad_norm: float = field(default=1.0, metadata={"help": "Each record's gradient is clipped to it."})
    accountant: Literal["prv", "rdp"] = "prv"
    expected_batch_size: int = field(default=512, metadata={"help": "Records in a step, on average."})
    per_device_train_batch_size: int = field(
        default=64, metadata={"help": "Most records that the device holds at a time; no part of the privacy."}
    )
    per_device_eval_batch_size: int = 256
    num_train_epochs: int = 20
    max_train_steps: int | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    model_name_or_path: str | None = None
    model_size: Literal["tiny", "small", "base"] = "small"
    hidden_size: int | None = None
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    position_encoding: str | None = None
    patch_embedding: str | None = None
    attn_implementation: str = "sdpa"
    turns: Literal["none", "flips", "symmetries"] = "flips"
    label_smoothing: float = 0.0
    drop_path_rate: float = 0.0
    mixup_alpha: float = field(default=0.0, metadata={"help": "Refused: it blends records."})
    patch_drop_rate: float = field(default=0.0, metadata={"help": "Refused: gradients would be others'."})
    teacher_logits_column: str | None = field(default=None, metadata={"help": "Refused: no epsilon holds."})
    dataloader_num_workers: int = 0
    seed: int = field(default=0, metadata={"help": "Of the first weights alone; noise is never seeded."})
    checkpoint_every_epoch: bool = False
    resume: bool = False
    push_to_hub: bool = False
    hub_model_id: str | None = None


def load_rows(args: Arguments) -> tuple[Dataset, Dataset]:
    splits = load_splits(
        args.dataset_name,
        train_split=args.train_split,
        eval_split=args.eval_split,
        label_column=args.label_column,
        problem_type=args.problem_type,
    )
    return tuple(at_most(splits, (args.max_train_samples, args.max_eval_samples)))


def build_model(args: Arguments, problem: Problem):
    """Read the dataset's encryption, build a model that fits, and its processor."""
    encryption = load_encryption(args.dataset_name, model_name=args.model_name_or_path)
    model, processor = build_pevit(
        encryption,
        checkpoint=args.model_name_or_path,
        size=args.model_size,
        hidden_size=args.hidden_size,
        num_hidden_layers=args.num_hidden_layers,
        num_attention_heads=args.num_attention_heads,
        position_encoding=args.position_encoding,
        patch_embedding=args.patch_embedding,
        attn_implementation=args.attn_implementation,
        drop_path_rate=args.drop_path_rate,
        patch_drop_rate=0.0,
        **problem.settings(),
    )
    return encryption, model, processor


def build_optimizer(args: Arguments, model) -> torch.optim.Optimizer:
    decaying = set(decaying_parameters(model))
    parameters = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in parameters if name in decaying], "weight_decay": args.weight_decay},
        {"params": [p for name, p in parameters if name not in decaying], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=args.learning_rate)


def start_training(args: Arguments, model, records: OneRowAPicture) -> PrivateTraining:
    batch = min(args.expected_batch_size, len(records))
    steps = args.max_train_steps or args.num_train_epochs * math.ceil(len(records) / batch)
    delta = args.target_delta or 0.1 / len(records)
    return PrivateTraining(
        model.train(),
        build_optimizer(args, model),
        records,
        PrivacyBudget(args.target_epsilon, delta, args.max_grad_norm, steps, args.accountant),
        expected_batch_size=batch,
        collate=default_data_collator,
        num_workers=args.dataloader_num_workers,
    )


@torch.no_grad()
def evaluate(model, loader: DataLoader, device: torch.device, problem: Problem) -> dict[str, float]:
    model.eval()
    logits = [model(pixel_values=batch["pixel_values"].to(device)).logits.float().cpu() for batch in loader]
    labels = torch.cat([batch["labels"] for batch in loader])
    model.train()
    return problem.metric().compute(predictions=torch.cat(logits).numpy(), references=labels.numpy())


def resumed(args: Arguments, training: PrivateTraining, device: torch.device) -> int:
    """Go on from the checkpoint, and return how many steps are done."""
    saved = args.output_dir / CHECKPOINT
    if not args.resume:
        if saved.exists():
            raise InputValueError(
                f"--output_dir: {args.output_dir} holds the checkpoint of an unfinished training, whose "
                "budget is partly spent; go on with --resume, or name another folder."
            )
        return 0
    if not saved.exists():
        return 0
    state = torch.load(saved, map_location=device, weights_only=True)
    training.load_state_dict(state["training"])
    return state["steps"]


def train(args: Arguments, training: PrivateTraining, loss_of, done: int) -> int:
    """Take the steps that are left, and save after each epoch if asked; returns all steps."""
    total, epoch = training.budget.steps, round(1 / training.sampling_rate)
    progress = tqdm(total=total, initial=done)
    while done < total:
        steps = training.steps(loss_of, records_at_once=args.per_device_train_batch_size)
        for _ in itertools.islice(steps, min(epoch, total - done)):
            done += 1
            progress.update()
        if args.checkpoint_every_epoch and done < total:
            args.output_dir.mkdir(parents=True, exist_ok=True)
            with whole_file(args.output_dir / CHECKPOINT) as beside:
                torch.save({"training": training.state_dict(), "steps": done}, beside)
    return done


def main(args: Arguments) -> dict[str, float]:
    refuse_what_voids(
        mixup_alpha=args.mixup_alpha,
        teacher_logits_column=args.teacher_logits_column,
        patch_drop_rate=args.patch_drop_rate,
    )
    accelerator = Accelerator()
    if accelerator.num_processes > 1:
        raise InputValueError(
            f"num_processes: got {accelerator.num_processes}, but this script draws its records in one "
            "process; launch it with --num_processes 1."
        )
    device = accelerator.device
    set_seed(args.seed)
    rows, evaluation = load_rows(args)
    pictures = rows_of_pictures(rows, args.picture_column)
    problem = scaled_in_private(problem_of(rows, args.label_column), args.number_range)
    encryption, model, processor = build_model(args, problem)
    to_inputs = input_transform(processor, label_column=args.label_column, problem=problem)
    training = start_training(
        args, model.to(device), OneRowAPicture(rows.with_transform(to_inputs), pictures)
    )
    augmentation = EncryptedAugmentation(
        num_labels=len(problem.names),
        problem_type=problem.problem_type,
        turns=args.turns,
        patch_size=encryption.encrypted_patch_size if encryption.strategy == "rs" else None,
        label_smoothing=args.label_smoothing,
    )

    def loss_of(model, batch):
        batch = {name: value.to(device) for name, value in batch.items()}
        return classification_loss(model, augmentation(batch), problem.problem_type)[0]

    steps = train(args, training, loss_of, resumed(args, training, device))
    training.close()
    loader = DataLoader(
        evaluation.with_transform(to_inputs),
        args.per_device_eval_batch_size,
        collate_fn=default_data_collator,
    )
    metrics = evaluate(model, loader, device, problem)
    metrics |= {"epsilon": training.epsilon, "delta": training.budget.delta, "steps": steps}
    privacy = PrivacyFacts(
        training.epsilon,
        training.budget.delta,
        training.noise_multiplier,
        args.max_grad_norm,
        training.sampling_rate,
        steps,
        records=len(pictures),
        rows=len(rows),
        picture_column=args.picture_column,
        accountant=args.accountant,
        from_checkpoint=args.model_name_or_path is not None,
    )
    save(args, model.eval(), processor, encryption, metrics, privacy, len(evaluation))
    accelerator.print(json.dumps(metrics))
    return metrics


def save(args: Arguments, model, processor, encryption, metrics, privacy: PrivacyFacts, evaluated: int):
    model.save_pretrained(args.output_dir)
    processor.save_pretrained(args.output_dir)
    encryption.save_pretrained(args.output_dir)
    (args.output_dir / CHECKPOINT).unlink(missing_ok=True)
    base = args.model_name_or_path
    facts = ModelFacts(
        args.hub_model_id or args.output_dir.name,
        encryption,
        metrics=metrics,
        dataset_name=None if os.path.isdir(args.dataset_name) else args.dataset_name,
        evaluated_on=f"{evaluated:,} encrypted images that were not trained on",
        training_command=shareable_command(sys.argv),
        base_model=None if base is None or os.path.isdir(base) else base,
        num_parameters=model.num_parameters(),
        privacy=privacy,
    )
    theirs = card_on_the_hub(args.hub_model_id) if args.push_to_hub and args.hub_model_id else None
    save_card(model_card(facts), args.output_dir, existing=theirs)
    told = metrics | dataclasses.asdict(privacy)
    (args.output_dir / "all_results.json").write_text(json.dumps(told, indent=2) + "\n")
    print(f"Checkpoint: {args.output_dir}")
    if args.push_to_hub:
        api = HfApi()
        repo_id = api.create_repo(args.hub_model_id or args.output_dir.name, exist_ok=True).repo_id
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=args.output_dir, ignore_patterns=[".*", "*.pt"]
        )
        print(f"Published: {commit.repo_url}")


if __name__ == "__main__":
    run_script(lambda: main(*parse_arguments({"training": Arguments})))
