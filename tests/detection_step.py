"""One step of training a tiny detector, in this process or in several; a test compares what they learn.

torchrun --standalone --nproc_per_node 2 tests/detection_step.py FOLDER
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import TrainingArguments

from hipmr_hf.models import PEYolosConfig, PEYolosForObjectDetection
from hipmr_hf.training.detection import DetectionTrainer

OBJECTS = (3, 0, 1, 0, 0, 5, 2, 1)  # of the images; halves and quarters of the batch are unlike


class Images(torch.utils.data.Dataset):
    """Eight images of two sizes with unlike numbers of objects."""

    def __len__(self) -> int:
        return len(OBJECTS)

    def __getitem__(self, index: int) -> dict:
        generator = torch.Generator().manual_seed(index)
        number = OBJECTS[index]
        label = {
            "class_labels": torch.randint(0, 3, (number,), generator=generator),
            "boxes": 0.2 + 0.3 * torch.rand(number, 4, generator=generator),
            "image_id": torch.tensor([index]),
            "orig_size": torch.tensor([8, 8]),
        }
        return {"pixel_values": torch.randn(3, 8, 8, generator=generator), "label": label}


def collate(rows: list[dict]) -> dict:
    pixel_values = torch.stack([row["pixel_values"] for row in rows])
    mask = torch.ones(len(rows), 8, 8, dtype=torch.int64)
    return {"pixel_values": pixel_values, "pixel_mask": mask, "labels": [row["label"] for row in rows]}


def build() -> PEYolosForObjectDetection:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "initializer_range": 0.2}
    return PEYolosForObjectDetection(
        PEYolosConfig(**sizes, image_size=8, patch_size=4, num_detection_tokens=6, num_labels=3)
    )


def trainer_step(folder: Path, batch_size: int, accumulation: int) -> dict[str, torch.Tensor]:
    """What one step of gradient descent with learning rate 1 changes: the gradient."""
    model = build()
    arguments = TrainingArguments(
        str(folder),
        max_steps=1,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=3,
        gradient_accumulation_steps=accumulation,
        learning_rate=1.0,
        optim="sgd",
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
    )
    trainer = DetectionTrainer(
        model, arguments, collate, Images(), Images(), new_parameters_factor=1.0,
        compute_metrics=lambda output: {"rows": len(output.label_ids)},
    )  # fmt: skip
    trainer.train()
    gradients = {
        name: old - new
        for (name, new), old in zip(model.named_parameters(), build().parameters(), strict=True)
    }
    gradients = {name: gradient.detach().contiguous() for name, gradient in gradients.items()}
    return gradients | {"evaluated": torch.tensor(trainer.evaluate()["eval_rows"])}


def model_gradients(rank: int, num_processes: int) -> dict[str, torch.Tensor]:
    """Gradients of the model's own loss under DistributedDataParallel, or of the whole batch alone."""
    model = build()
    batch = collate([Images()[i] for i in range(rank, len(OBJECTS), num_processes)])
    wrapped = torch.nn.parallel.DistributedDataParallel(model) if num_processes > 1 else model
    wrapped(**batch).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def main() -> None:
    folder = Path(sys.argv[1])
    # 2 images x 2 accumulated batches x 2 processes: the eight images make one step
    by_trainer = trainer_step(folder, batch_size=2, accumulation=2)
    rank = torch.distributed.get_rank()
    by_model = model_gradients(rank, torch.distributed.get_world_size())
    if rank == 0:
        save_file(by_trainer, folder / "trainer.safetensors")
        save_file(by_model, folder / "model.safetensors")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
