"""Train PEViT (or a plain ViT as a baseline) on an encrypted dataset with a plain Accelerate loop.

The same training as `run_image_classification.py`, every step in sight:

    accelerate launch --quiet examples/run_image_classification_no_trainer.py \
        --dataset_name outputs/digits_rs --output_dir outputs/pevit --model_size tiny --num_train_epochs 20 \
        --learning_rate 1e-3 --label_smoothing 0.1 --drop_path_rate 0.1 --checkpoint_every_epoch

Killed runs go on with `--resume`. The result is config + safetensors + processor + encryption settings.
"""

import itertools
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from datasets import Dataset
from huggingface_hub import HfApi
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import default_data_collator, get_cosine_schedule_with_warmup

from hipmr_hf.hub.card_renewal import save_card
from hipmr_hf.hub.cards import ModelFacts, model_card
from hipmr_hf.hub.publishing import card_on_the_hub
from hipmr_hf.hub.shareable_command import shareable_command
from hipmr_hf.training.accelerate_loop import load_newest_checkpoint, parameter_groups, save_checkpoint
from hipmr_hf.training.augmentation import EncryptedAugmentation
from hipmr_hf.training.classification import (
    build_pevit,
    build_vit_baseline,
    classification_loss,
    input_transform,
)
from hipmr_hf.training.layer_rates import decay_rates_by_layer
from hipmr_hf.training.problems import Problem, ProblemType, problem_of
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.splits import at_most, load_encryption, load_splits


@dataclass
class Arguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of an encrypted dataset."})
    output_dir: Path = field(metadata={"help": "Where the model and the checkpoints go."})
    label_column: str = "label"
    problem_type: ProblemType | None = field(
        default=None,
        metadata={"help": "What to learn. Default: lists are several classes, floats numbers, else classes."},
    )
    teacher_logits_column: str | None = None
    train_split: str = "train"
    eval_split: str = "test"
    validation_fraction: float | None = field(
        default=None,
        metadata={"help": "Evaluate on this share of the training split instead of eval_split, such as .1."},
    )
    max_train_samples: int | None = None
    max_eval_samples: int | None = None
    model_name_or_path: str | None = None
    baseline: Literal["vit"] | None = None
    model_size: Literal["tiny", "small", "base"] = "small"
    hidden_size: int | None = None
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    position_encoding: str | None = None
    patch_embedding: str | None = None
    attn_implementation: str = "sdpa"
    image_size: int | None = field(default=None, metadata={"help": "Baseline on plain images alone: pixels."})
    patch_size: int = field(default=16, metadata={"help": "Baseline on plain images alone: pixels."})
    turns: Literal["none", "flips", "symmetries"] = "flips"
    mixup_alpha: float = 0.0
    label_smoothing: float = 0.0
    drop_path_rate: float = 0.0
    patch_drop_rate: float = 0.0
    ema_decay: float | None = None
    num_train_epochs: int = 3
    max_train_steps: int | None = None
    per_device_train_batch_size: int = 64
    per_device_eval_batch_size: int = 256
    gradient_accumulation_steps: int = 1
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    layer_decay: float = field(
        default=1.0, metadata={"help": "Rate of a block by that of the next: .75 for pre-trained weights."}
    )
    warmup_share: float = field(default=0.05, metadata={"help": "Share of the steps that warm up."})
    max_grad_norm: float = 1.0
    mixed_precision: Literal["no", "fp16", "bf16"] | None = None
    dataloader_num_workers: int = 0
    seed: int = 0
    checkpoint_every_epoch: bool = False
    resume: bool = field(default=False, metadata={"help": "Go on from the newest checkpoint of output_dir."})
    push_to_hub: bool = False
    hub_model_id: str | None = None


def build_model(args: Arguments, problem: Problem):
    """Read the dataset's encryption, build a model that fits, and its processor."""
    size = {
        "size": args.model_size,
        "hidden_size": args.hidden_size,
        "num_hidden_layers": args.num_hidden_layers,
        "num_attention_heads": args.num_attention_heads,
        "attn_implementation": args.attn_implementation,
        **problem.settings(),
    }
    if args.baseline == "vit" and args.image_size is not None:  # plain images: nothing is encrypted
        return None, *build_vit_baseline((args.image_size, args.image_size), args.patch_size, **size)
    encryption = load_encryption(args.dataset_name, model_name=args.model_name_or_path)
    if args.baseline == "vit":
        return encryption, *build_vit_baseline(
            encryption.encrypted_size, encryption.encrypted_patch_size, **size
        )
    return encryption, *build_pevit(
        encryption,
        checkpoint=args.model_name_or_path,
        with_teacher=args.teacher_logits_column is not None,
        position_encoding=args.position_encoding,
        patch_embedding=args.patch_embedding,
        drop_path_rate=args.drop_path_rate,
        patch_drop_rate=args.patch_drop_rate,
        **size,
    )


def load_rows(args: Arguments) -> tuple[Dataset, Dataset]:
    splits = load_splits(
        args.dataset_name,
        train_split=args.train_split,
        eval_split=args.eval_split,
        validation_fraction=args.validation_fraction,
        label_column=args.label_column,
        problem_type=args.problem_type,
        seed=args.seed,
    )
    limits = args.max_train_samples, args.max_eval_samples
    return tuple(at_most(splits, limits, shuffle_seed=args.seed))


def build_loaders(
    args: Arguments, train: Dataset, evaluation: Dataset, processor, problem: Problem
) -> tuple[DataLoader, DataLoader]:
    to_inputs = input_transform(
        processor,
        label_column=args.label_column,
        teacher_logits_column=args.teacher_logits_column,
        problem=problem,
    )
    options = {"collate_fn": default_data_collator, "num_workers": args.dataloader_num_workers}
    batch, eval_batch = args.per_device_train_batch_size, args.per_device_eval_batch_size
    return (
        DataLoader(
            train.with_transform(to_inputs), batch, shuffle=True, drop_last=len(train) >= batch, **options
        ),
        DataLoader(evaluation.with_transform(to_inputs), eval_batch, **options),
    )


@torch.no_grad()
def evaluate(accelerator: Accelerator, model, loader: DataLoader, problem: Problem) -> dict[str, float]:
    model.eval()
    predictions, references = [], []
    for batch in loader:
        outputs = model(pixel_values=batch["pixel_values"])
        # gather_for_metrics drops what was repeated to fill the last batch of each process
        logits, labels = accelerator.gather_for_metrics((outputs.logits.float(), batch["labels"]))
        predictions.append(logits.cpu())
        references.append(labels.cpu())
    return problem.metric().compute(
        predictions=torch.cat(predictions).numpy(), references=torch.cat(references).numpy()
    )


def build_augmentation(args: Arguments, encryption, problem: Problem) -> EncryptedAugmentation:
    shuffled = encryption is not None and encryption.strategy == "rs"
    return EncryptedAugmentation(
        num_labels=len(problem.names),
        problem_type=problem.problem_type,
        turns=args.turns,
        patch_size=encryption.encrypted_patch_size if shuffled else None,
        mixup_alpha=args.mixup_alpha,
        label_smoothing=args.label_smoothing,
    )


def train_epoch(
    accelerator: Accelerator, args: Arguments, model, loader, optimizer, schedule, augmentation, average
):
    """Yield the loss after every step of the optimizer."""
    model.train()
    for batch in loader:
        with accelerator.accumulate(model):
            loss, _ = classification_loss(model, augmentation(batch), augmentation.problem_type)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), args.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            schedule.step()
            if average is not None:
                average.update_parameters(accelerator.unwrap_model(model))
            yield loss.item()


def main(args: Arguments) -> dict[str, float]:
    accelerator = Accelerator(
        mixed_precision=args.mixed_precision, gradient_accumulation_steps=args.gradient_accumulation_steps
    )
    set_seed(args.seed)
    with accelerator.main_process_first():
        train, evaluation = load_rows(args)
    problem = problem_of(train, args.label_column, with_teacher=bool(args.teacher_logits_column))
    encryption, model, processor = build_model(args, problem)
    augmentation = build_augmentation(args, encryption, problem)
    train_loader, eval_loader = build_loaders(args, train, evaluation, processor, problem)
    optimizer = torch.optim.AdamW(parameter_groups(model, args.weight_decay), lr=args.learning_rate)
    decay_rates_by_layer(optimizer, model, args.layer_decay)
    model, optimizer, train_loader, eval_loader = accelerator.prepare(
        model, optimizer, train_loader, eval_loader
    )

    steps_per_epoch = math.ceil(len(train_loader) / args.gradient_accumulation_steps)
    total_steps = args.max_train_steps or args.num_train_epochs * steps_per_epoch
    # Not prepared: a prepared scheduler would step once per process.
    schedule = get_cosine_schedule_with_warmup(optimizer, int(args.warmup_share * total_steps), total_steps)
    accelerator.register_for_checkpointing(schedule)
    final, average = accelerator.unwrap_model(model), None
    if args.ema_decay is not None:
        average = AveragedModel(final, multi_avg_fn=get_ema_multi_avg_fn(args.ema_decay), use_buffers=True)
        accelerator.register_for_checkpointing(average)

    done = load_newest_checkpoint(accelerator, args.output_dir) if args.resume else 0
    step = done * steps_per_epoch
    progress = tqdm(total=total_steps, initial=step, disable=not accelerator.is_main_process)
    for epoch in range(done, math.ceil(total_steps / steps_per_epoch)):
        train_loader.set_epoch(epoch)
        steps = train_epoch(
            accelerator, args, model, train_loader, optimizer, schedule, augmentation, average
        )
        for loss in itertools.islice(steps, total_steps - step):
            step += 1
            progress.update()
            progress.set_postfix(loss=f"{loss:.3f}")
        accelerator.print(f"epoch {epoch + 1}: {evaluate(accelerator, model, eval_loader, problem)}")
        if args.checkpoint_every_epoch:
            save_checkpoint(accelerator, args.output_dir, epoch + 1)

    if average is not None:
        final.load_state_dict(average.module.state_dict())
    metrics = evaluate(accelerator, model, eval_loader, problem)
    metrics.update(world_size=accelerator.num_processes, num_parameters=final.num_parameters())
    if accelerator.is_main_process:
        save(args, final, processor, encryption, metrics)
    accelerator.print(json.dumps(metrics))
    return metrics


def save(args: Arguments, model, processor, encryption, metrics: dict) -> None:
    model.save_pretrained(args.output_dir)
    processor.save_pretrained(args.output_dir)
    if encryption is not None:
        encryption.save_pretrained(args.output_dir)
        facts = ModelFacts(
            args.hub_model_id or args.output_dir.name,
            encryption,
            metrics=metrics,
            training_command=shareable_command(sys.argv),
            num_parameters=model.num_parameters(),
        )
        theirs = card_on_the_hub(args.hub_model_id) if args.push_to_hub and args.hub_model_id else None
        save_card(model_card(facts), args.output_dir, existing=theirs)
    (args.output_dir / "all_results.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(f"Checkpoint: {args.output_dir}")
    if args.push_to_hub:
        api = HfApi()
        repo_id = api.create_repo(args.hub_model_id or args.output_dir.name, exist_ok=True).repo_id
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=args.output_dir, ignore_patterns=["checkpoint-*/**", ".*"]
        )
        print(f"Published: {commit.repo_url}")


if __name__ == "__main__":
    run_script(lambda: main(*parse_arguments({"training": Arguments})))
