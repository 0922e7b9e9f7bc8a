"""Adapt a converted backbone to its encryption by feature distillation on public pictures, with Accelerate.

    hipmr convert facebook/dinov2-small --encryption me/scans --output-dir pevit
    accelerate launch --quiet examples/adapt_backbone.py --model_name_or_path pevit \
        --teacher_name_or_path facebook/dinov2-small --pictures public_pictures --output_dir pevit_adapted \
        --max_train_steps 5000

The teacher sees plain public pictures and the student their encryption, anew in every epoch; there are no
labels and no private picture. The loss is the share of the teacher's features that the student misses (1: it
says the same of every picture). A killed run goes on with `--resume`, to the weights that it would have had.
The result is config + safetensors + processor + encryption settings + card;
`run_image_classification.py --model_name_or_path` trains on from it.
"""

import json
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, gather_object, set_seed
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import get_cosine_schedule_with_warmup

from hipmr_hf import Encryption
from hipmr_hf.adaptation.distillation import FeatureLoss, PublicPictures, features_of, teacher_features
from hipmr_hf.errors import InputValueError
from hipmr_hf.hub.card_renewal import save_card
from hipmr_hf.hub.cards import ModelFacts, model_card
from hipmr_hf.hub.shareable_command import shareable_command
from hipmr_hf.models import PEViTForImageClassification, PEViTImageProcessorPil
from hipmr_hf.models.convert_transformers import load_pevit_from_transformers, source_config
from hipmr_hf.privacy_report.sources import sample_pictures
from hipmr_hf.training.accelerate_loop import load_newest_checkpoint, parameter_groups, save_checkpoint
from hipmr_hf.training.layer_rates import decay_rates_by_layer
from hipmr_hf.training.script import parse_arguments, run_script


@dataclass
class Arguments:
    model_name_or_path: str = field(
        metadata={"help": "What `hipmr convert --encryption` wrote: the student."}
    )
    teacher_name_or_path: str = field(metadata={"help": "ViT, DeiT or DINOv2 of transformers."})
    pictures: str = field(metadata={"help": "Public pictures, read as `hipmr encrypt` reads; seen plain."})
    output_dir: Path = field(metadata={"help": "Where the model and the checkpoints go."})
    max_pictures: int = 2000
    max_train_steps: int = 1000
    per_device_train_batch_size: int = 16
    gradient_accumulation_steps: int = 1
    learning_rate: float = 2e-5
    weight_decay: float = 0.02
    layer_decay: float = field(default=0.75, metadata={"help": "Rate of a block by that of the next."})
    warmup_share: float = 0.1
    max_grad_norm: float = 1.0
    gradient_checkpointing: bool = False
    checkpoint_every: int = field(default=0, metadata={"help": "Steps between checkpoints; 0 writes none."})
    resume: bool = field(default=False, metadata={"help": "Go on from the newest checkpoint of output_dir."})
    seed: int = 0


def build_models(args: Arguments):
    """The student with its settings, and a teacher with a patch for each of the student's plain ones."""
    encryption = Encryption.from_pretrained(args.model_name_or_path)
    if encryption.placement(4096, 4096) != encryption.placement(8192, 8192):
        raise InputValueError(
            "model_name_or_path: its settings keep each picture's own size, and a batch needs one size; "
            "convert for settings with an image_size."
        )
    placement = encryption.placement(4096, 4096)
    grid = placement.height // encryption.patch_size, placement.width // encryption.patch_size
    config = source_config(args.teacher_name_or_path)
    patch = config.patch_size if isinstance(config.patch_size, int) else config.patch_size[0]
    size = grid[0] * patch, grid[1] * patch
    teacher, teacher_processor, _ = load_pevit_from_transformers(
        args.teacher_name_or_path, position_encoding="absolute", image_size=size
    )
    student = PEViTForImageClassification.from_pretrained(args.model_name_or_path)
    if student.config.hidden_size != teacher.config.hidden_size:
        raise InputValueError(
            f"teacher_name_or_path: its tokens are {teacher.config.hidden_size} wide and the student's "
            f"{student.config.hidden_size}; name the model that the student was converted from."
        )
    student_processor = PEViTImageProcessorPil.from_pretrained(args.model_name_or_path)
    return encryption, student, student_processor, teacher.pevit, teacher_processor, size


def train(
    accelerator: Accelerator, args: Arguments, prepared: tuple, feature_loss: FeatureLoss, done: int
) -> list[float]:
    """Train from step `done` on; returns the loss of every step.

    Args:
        prepared: backbone, loader, optimizer and schedule, as Accelerate made them.
    """
    backbone, loader, optimizer, schedule = prepared
    progress = tqdm(total=args.max_train_steps, initial=done, disable=not accelerator.is_main_process)
    step, losses = done, []
    steps_per_epoch = math.ceil(len(loader) / args.gradient_accumulation_steps)
    epoch, skipped = divmod(done, steps_per_epoch)
    backbone.train()
    while step < args.max_train_steps:
        loader.set_epoch(epoch)  # of the order
        loader.dataset.set_epoch(epoch)  # of the encryption, which Accelerate does not pass on
        rest = accelerator.skip_first_batches(loader, skipped * args.gradient_accumulation_steps)
        epoch, skipped = epoch + 1, 0
        for inputs in rest:
            with accelerator.accumulate(backbone):
                loss = feature_loss(features_of(backbone, inputs["pixel_values"]), inputs["target"])
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(backbone.parameters(), args.max_grad_norm)
                optimizer.step()
                optimizer.zero_grad()
            if not accelerator.sync_gradients:
                continue
            schedule.step()
            step += 1
            losses.append(loss.item())
            progress.update()
            progress.set_postfix(loss=f"{losses[-1]:.3f}")
            if args.checkpoint_every and step % args.checkpoint_every == 0:
                save_checkpoint(accelerator, args.output_dir, step, keep_older=False)
            if step == args.max_train_steps:
                break
    return losses


def main(args: Arguments) -> dict[str, float]:
    # An epoch's order by its number alone: a run that goes on in the middle of one needs the same again.
    ordered = DataLoaderConfiguration(use_seedable_sampler=True, data_seed=args.seed)
    accelerator = Accelerator(
        gradient_accumulation_steps=args.gradient_accumulation_steps, dataloader_config=ordered
    )
    set_seed(args.seed)
    encryption, student, student_processor, teacher, teacher_processor, size = build_models(args)
    if args.gradient_checkpointing:
        student.activation_checkpointing_enable()
    images = sample_pictures([args.pictures], args.max_pictures, seed=args.seed).images
    teacher = teacher.to(accelerator.device)
    with accelerator.split_between_processes(images) as share:
        found = teacher_features(teacher, teacher_processor, share, encryption, size)
    targets = torch.stack(gather_object(list(found)))
    feature_loss = FeatureLoss.of(targets)
    pictures = PublicPictures(images, encryption, student_processor, targets, seed=args.seed)
    batch = args.per_device_train_batch_size
    # With a generator of its own, the loader draws nothing from the one that dropout goes on with.
    loader = DataLoader(
        pictures, batch, shuffle=True, drop_last=len(pictures) >= batch, generator=torch.Generator()
    )
    backbone = student.pevit
    optimizer = torch.optim.AdamW(parameter_groups(backbone, args.weight_decay), lr=args.learning_rate)
    decay_rates_by_layer(optimizer, backbone, args.layer_decay)
    backbone, optimizer, loader = accelerator.prepare(backbone, optimizer, loader)
    schedule = get_cosine_schedule_with_warmup(
        optimizer, int(args.warmup_share * args.max_train_steps), args.max_train_steps
    )
    accelerator.register_for_checkpointing(schedule)

    done = load_newest_checkpoint(accelerator, args.output_dir) if args.resume else 0
    losses = train(accelerator, args, (backbone, loader, optimizer, schedule), feature_loss, done)
    tenth = max(1, len(losses) // 10)
    metrics = {
        "first_loss": sum(losses[:tenth]) / tenth if losses else float("nan"),
        "last_loss": sum(losses[-tenth:]) / tenth if losses else float("nan"),
        "steps": done + len(losses),
        "pictures": len(images),
        "world_size": accelerator.num_processes,
    }
    if accelerator.is_main_process:
        student.pevit = accelerator.unwrap_model(backbone)
        save(args, student, student_processor, encryption, metrics)
    accelerator.print(json.dumps(metrics))
    return metrics


def save(args: Arguments, model, processor, encryption, metrics: dict) -> None:
    model.save_pretrained(args.output_dir)
    processor.save_pretrained(args.output_dir)
    encryption.save_pretrained(args.output_dir)
    teacher = args.teacher_name_or_path
    facts = ModelFacts(
        args.output_dir.name,
        encryption,
        task="image-feature-extraction",
        metrics={"features_missed": metrics["last_loss"]},
        evaluated_on="the pictures that it was adapted on, in its last steps: features_missed is 0 for a "
        "model that sees in them what its teacher sees, and 1 for one that sees the same in all",
        training_command=shareable_command(sys.argv),
        base_model=None if os.path.isdir(teacher) else teacher,
        adapted_on=metrics["pictures"],
        num_parameters=model.num_parameters(),
    )
    save_card(model_card(facts), args.output_dir)
    (args.output_dir / "all_results.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(f"Checkpoint: {args.output_dir}; its classifier is new: train it before you use it.")


if __name__ == "__main__":
    run_script(lambda: main(*parse_arguments({"adaptation": Arguments})))
