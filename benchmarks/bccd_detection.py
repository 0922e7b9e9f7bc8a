"""What mixing-up costs a detector on blood smears: PEYOLOS on MI beside a plain YOLOS of equal budget (BCCD).

    python benchmarks/bccd_detection.py --data_dir ../shared/data --epochs 300 --seeds 0 1 --jobs 2

Runs `examples/run_object_detection.py`, or for the plain baseline `examples/owner/train_plain_yolos.py`, once
per setting and seed, from random weights, on the 205 training images resized to a shorter side of 240 pixels,
with patches of 16. Writes each result to `benchmarks/results/bccd_detection.json` as it comes (a started
table is gone on with), then the table in README and a picture of detections on test images. The recipe was
chosen on the 87 validation images, which `--validation` evaluates on; the 72 test images played no part in
that. One row starts from a classifier of 6,000 mixed-up EuroSAT tiles, which is trained first, with
`examples/run_image_classification.py`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from datasets import disable_progress_bars, load_dataset
from pages import tell
from results_file import add_result, load_results

from hipmr_hf import MixingUp, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.encryption import Sides

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "bccd_detection.json"
PICTURES = ROOT / "docs" / "images"
MI = MixingUp(image_size=Sides(240, 320), patch_size=16)
HARDENED = MixingUp(
    image_size=Sides(240, 320), patch_size=16, sub_patch_symmetries=True, patch_normalization=True
)
PLAIN = "plain images, YOLOS"
SETTINGS = {
    PLAIN: (MI, {}),
    "MI, PEYOLOS": (MI, {}),
    "MI, symmetries, normalization, PEYOLOS": (HARDENED, {}),
    "MI, PEYOLOS, backbone pre-trained on EuroSAT": (MI, {"model_name_or_path": "eurosat_pevit"}),
}
EUROSAT = MixingUp(image_size=64, patch_size=16)
WIDTH = {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3}
ON_ONE_CORE = {"attn_implementation": "eager", "report_to": "none", "save_strategy": "no"}
SCORES = {
    "AP": "map",
    "AP50": "map_50",
    "AP75": "map_75",
    "RBC": "map_RBC",
    "WBC": "map_WBC",
    "Platelets": "map_Platelets",
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "outputs" / "bccd")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", help="names of settings; default all")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one core each")
    parser.add_argument("--validation", action="store_true", help="evaluate on the validation images")
    parser.add_argument("--extra", nargs="+", default=[], help="name=value for run_object_detection.py")
    parser.add_argument("--report", action="store_true", help="only render the table")
    return parser.parse_args()


def prepare_data(args: argparse.Namespace) -> None:
    """Write the plain rows without file names, and encrypt them once per setting."""
    plain = args.output_dir / "data" / "plain"
    if not plain.exists():
        for split in ("train", "val", "test"):
            source = str(args.data_dir / f"bccd_{split}.parquet")
            rows = load_dataset("parquet", data_files=source)["train"].select_columns(["image", "objects"])
            rows.to_parquet(plain / "data" / f"{split}-00000-of-00001.parquet")
    for encryption, _ in SETTINGS.values():
        folder = encrypted_folder(encryption, args)
        if not folder.exists():
            files = {split: str(plain / "data" / f"{split}-*") for split in ("train", "val", "test")}
            rows = load_dataset("parquet", data_files=files, streaming=True)
            save_encrypted_dataset(encrypt_dataset(rows, encryption), encryption, folder)


def pretrain(args: argparse.Namespace) -> None:
    """Train a classifier of EuroSAT tiles that were mixed up like the smears, unless it is there."""
    data, classifier = args.output_dir / "data" / "eurosat_mi", args.output_dir / "eurosat_pevit"
    if (classifier / "all_results.json").exists():
        return
    if not data.exists():
        files = {"train": "eurosat_train_6k.parquet", "test": "eurosat_test_1500.parquet"}
        files = {split: str(args.data_dir / name) for split, name in files.items()}
        rows = load_dataset("parquet", data_files=files, streaming=True)
        save_encrypted_dataset(encrypt_dataset(rows, EUROSAT), EUROSAT, data)
    options = {
        **WIDTH,
        **ON_ONE_CORE,
        "dataset_name": data,
        "output_dir": classifier,
        "num_train_epochs": 20,
        "per_device_train_batch_size": 64,
        "per_device_eval_batch_size": 250,
        "learning_rate": 1e-3,
        "weight_decay": 0.05,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 100,
        "label_smoothing_factor": 0.1,
        "turns": "symmetries",
        "logging_strategy": "epoch",
    }
    run_example("run_image_classification.py", options)
    accuracy = json.loads((classifier / "all_results.json").read_text())["eval_accuracy"]
    print(f"pre-trained on EuroSAT: accuracy {accuracy:.3f}", flush=True)


def encrypted_folder(encryption: MixingUp, args: argparse.Namespace) -> Path:
    return args.output_dir / "data" / ("mi_hardened" if encryption.sub_patch_symmetries else "mi")


def options_of(setting: str, seed: int, args: argparse.Namespace) -> dict:
    """Return the arguments of one training, the same for every setting but for its own."""
    encryption, own = SETTINGS[setting]
    own = {name: args.output_dir / v if name == "model_name_or_path" else v for name, v in own.items()}
    slug = "".join(letter if letter.isalnum() else "_" for letter in f"{setting}_{seed}_{args.epochs}")
    return {
        **own,
        **_data_of(setting, encryption, args),
        "eval_split": "val" if args.validation else "test",
        "output_dir": args.output_dir / "runs" / f"{slug}_{time.time_ns()}",
        **WIDTH,
        **ON_ONE_CORE,
        "num_detection_tokens": 60,
        "num_train_epochs": args.epochs,
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 24,
        "learning_rate": 7e-4,
        "adam_beta2": 0.98,
        "weight_decay": 0.05,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 200,
        "max_grad_norm": 1.0,
        "place_supervision": 0.45,
        "flip": 0.5,
        "vertical_flip": 0.5,
        "crop": 0.75,
        "smallest_crop": 0.4,
        "brightness": 0.1,
        "eval_strategy": "steps",
        "eval_steps": 0.1,
        "logging_strategy": "epoch",
        "seed": seed,
        **dict(item.split("=", 1) for item in args.extra),
    }


def _data_of(setting: str, encryption: MixingUp, args: argparse.Namespace) -> dict:
    plain, encrypted = args.output_dir / "data" / "plain", encrypted_folder(encryption, args)
    if setting == PLAIN:
        return {"dataset_name": plain, "encrypted_dataset": encrypted}
    return {"dataset_name": encrypted, "new_parameters_factor": 1}


def run_example(script: str, options: dict) -> None:
    """Run a training script in a process of its own, on one core."""
    command = [sys.executable, str(ROOT / "examples" / script)]
    command += ["--do_train", "--do_eval", "--use_cpu", "--bf16", "--disable_tqdm", "true"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script}, {options}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def train(setting: str, seed: int, args: argparse.Namespace) -> dict:
    """Train and evaluate one detector."""
    options = options_of(setting, seed, args)
    plain = setting == PLAIN
    run_example("owner/train_plain_yolos.py" if plain else "run_object_detection.py", options)
    if not plain:
        draw(options["output_dir"], options["eval_split"], args)
    metrics = json.loads((options["output_dir"] / "all_results.json").read_text())
    history = json.loads((options["output_dir"] / "trainer_state.json").read_text())["log_history"]
    return {
        "setting": setting,
        "seed": seed,
        "epochs": args.epochs,
        "extra": args.extra,
        "evaluated_on": options["eval_split"],
        "images": metrics["eval_images"],
        **{name: metrics[f"eval_{key}"] for name, key in SCORES.items()},
        "train_seconds": metrics["train_runtime"],
        "num_parameters": metrics["num_parameters"],
        "curve": {round(entry["epoch"]): entry["eval_map"] for entry in history if "eval_map" in entry},
        "picture": str((options["output_dir"] / "detections.png").relative_to(args.output_dir)),
    }


def draw(checkpoint: Path, split: str, args: argparse.Namespace) -> None:
    """Draw detections on plain smears, as their owner can."""
    command = [sys.executable, str(ROOT / "examples" / "owner" / "draw_detections.py"), "--split", split]
    command += ["--dataset_name", str(args.output_dir / "data" / "plain"), "--checkpoint", str(checkpoint)]
    subprocess.run([*command, "--output", str(checkpoint / "detections.png")], check=True)


def table(results: list[dict]) -> str:
    """Render the mean and the spread over seeds as a Markdown table."""
    lines = [
        f"| images and model | {' | '.join(SCORES)} | seeds | AP gained in last fifth | parameters |",
        "|" + "---|" * (len(SCORES) + 4),
    ]
    for setting in SETTINGS:
        runs = [run for run in results if run["setting"] == setting]
        if not runs:
            continue
        cells = []
        for name in SCORES:
            values = np.array([run[name] for run in runs])
            spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.3f}{spread}")
        gained = np.mean([np.diff(list(run["curve"].values())[-3::2])[-1] for run in runs])
        lines.append(
            f"| {setting} | {' | '.join(cells)} | {len(runs)} | {gained:+.3f} | "
            f"{runs[0]['num_parameters']:,} |"
        )
    return "\n".join(lines)


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    chosen = [setting for setting in SETTINGS if not args.only or setting in args.only]
    if not args.report:
        prepare_data(args)
        if any("model_name_or_path" in SETTINGS[setting][1] for setting in chosen):
            pretrain(args)
        done = {(run["setting"], run["seed"]) for run in load_results(args.results)}
        # Seeds outermost: if time runs out, every setting has the same number of them.
        todo = [(setting, seed) for seed in args.seeds for setting in chosen if (setting, seed) not in done]
        with ThreadPoolExecutor(args.jobs) as pool:
            for result in pool.map(lambda job: train(*job, args), todo):
                add_result(args.results, result)
                print(f"{result['setting']}, seed {result['seed']}: AP {result['AP']:.3f} "
                      f"({result['train_seconds']:.0f} s)", flush=True)  # fmt: skip
    results = load_results(args.results)
    print(table(results))
    if args.results == RESULTS:
        tell("bccd_detection", table(results))
        shown = [run for run in results if run["setting"] == "MI, PEYOLOS"]
        if shown and (args.output_dir / shown[0]["picture"]).exists():
            shutil.copy(args.output_dir / shown[0]["picture"], PICTURES / "bccd_detections.png")


if __name__ == "__main__":
    main()
