"""One token for a texture and one for a tone: does a pre-trained backbone see more in tones apart like this?

    python ../shared/tools/dinov2_small.py outputs/dinov2_small
    python benchmarks/accuracy/two_tokens.py --weights outputs/dinov2_small

Under the preset classification a patch has the texture of one place and the tone of another. The refitted
embedding makes one token of both. Here the backbone gets two instead: the texture with a neutral tone, by an
embedding that was fitted in the same way, and a flat patch of the tone, by the old embedding, which knows
such patches. A linear probe (logistic regression) on the class token beside the patches' mean tells classes
of EuroSAT's tiles; it is fitted on some training tiles and tested on others (validation). Writes
`benchmarks/results/two_tokens.json` and the table in docs/results.md. About 2 minutes of one core.
"""

import argparse
import copy
import sys
import time
from pathlib import Path

import numpy as np
import torch
from datasets import disable_progress_bars

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.accuracy.pretrained_data import load_pictures
from benchmarks.accuracy.pretrained_starts import PRESET, SIDE, encryption_of
from benchmarks.accuracy.pretrained_training import CHUNK, Inputs, probe
from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import ROOT, publish
from benchmarks.harness.results_file import add_result, load_results
from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf.adaptation import refit
from hipmr_hf.adaptation.pairs import patch_pairs
from hipmr_hf.models import PEViTImageProcessorPil
from hipmr_hf.models.convert_transformers import load_pevit_from_transformers

MARK = "two_tokens"
NEUTRAL, CONTRAST, FLOOR = 128.0, 40.0, 2.0  # grey levels of a texture without its tone
KINDS = {
    "one token of both, refitted": "both",
    "two tokens: texture, flat patch of the tone": "two",
    "the texture's token alone": "texture",
    "the tone's token alone": "tone",
}


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__, results=MARK, report="the table")
    parser.add_argument("--weights", type=Path, default=ROOT / "outputs" / "dinov2_small")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "outputs" / MARK)
    parser.add_argument("--patch", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--public", type=int, default=500, help="tiles that both embeddings are fitted on")
    parser.set_defaults(data="eurosat", validation=True)
    return parser.parse_args()


def neutral(patches: np.ndarray) -> np.ndarray:
    """Patches (..., size, size, channels) with one mean and one contrast, in grey levels."""
    patches = patches.astype(np.float64)
    mean, spread = (measure(patches, axis=(-3, -2), keepdims=True) for measure in (np.mean, np.std))
    return NEUTRAL + CONTRAST * (patches - mean) / np.maximum(spread, FLOOR)


def texture_model(model, processor, encryption, public, seed: int):
    """The backbone with an embedding of encrypted textures, fitted to the old tokens of the plain ones."""
    pairs = patch_pairs(public, encryption, most=refit.MOST_PAIRS, seed=seed)
    new = PEViTImageProcessorPil(patch_size=encryption.encrypted_patch_size)
    seen = refit._normalised(neutral(pairs.encrypted), new)
    tokens = refit._tokens(model, refit._normalised(neutral(pairs.plain), processor))
    fitted = refit._rebuilt(model, encryption, "invariant", seed)
    refit._fit_hidden(fitted.pevit.embeddings.patch_embeddings, seen, tokens, steps=refit._STEPS, seed=seed)
    return fitted, new


@torch.no_grad()
def features(backbone, tokens: torch.Tensor) -> torch.Tensor:
    """Class token beside the patches' mean of tokens (pictures, patches, hidden_size)."""
    found = []
    for part in tokens.split(CHUNK):
        hidden = torch.cat((backbone.embeddings.cls_token.expand(len(part), -1, -1), part), dim=1)
        for layer in backbone.layers:
            hidden = layer(hidden)
        hidden = backbone.layernorm(hidden)
        found.append(torch.cat((hidden[:, 0], hidden[:, 1:].mean(dim=1)), dim=1))
    return torch.cat(found)


@torch.no_grad()
def tokens_of(models: dict, encrypted: np.ndarray, width: int) -> dict[str, torch.Tensor]:
    """Tokens of encrypted pictures (count, height, width, 3) for each of KINDS."""
    count, height, across, channels = encrypted.shape
    grid = encrypted.reshape(count, height // width, width, across // width, width, channels).swapaxes(2, 3)
    patches = grid.reshape(-1, width, width, channels)
    (plain, plain_processor), (both, both_processor), (texture, new) = models.values()
    means = patches.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    side = plain.config.patch_size
    flat = np.broadcast_to(means, (len(patches), side, side, channels))
    one = refit._embedded(both.pevit.embeddings.patch_embeddings, refit._normalised(patches, both_processor))
    pattern = refit._embedded(
        texture.pevit.embeddings.patch_embeddings, refit._normalised(neutral(patches), new)
    )
    tone = refit._tokens(plain, refit._normalised(flat, plain_processor))
    one, pattern, tone = (part.reshape(count, -1, part.shape[-1]) for part in (one, pattern, tone))
    return {"both": one, "two": torch.cat((pattern, tone), dim=1), "texture": pattern, "tone": tone}


def measure(args: argparse.Namespace, seed: int, pictures: dict) -> None:
    encryption = encryption_of(PRESET, args.patch)
    model, processor, _ = load_pevit_from_transformers(
        str(args.weights), position_encoding="none", patch_size=args.patch, image_size=SIDE
    )
    public = pictures["public"][0]
    both, both_processor, report = refit.refit_patch_embedding(
        copy.deepcopy(model), processor, encryption, public, patch_embedding="invariant", seed=seed
    )
    models = {"plain": (model, processor), "both": (both, both_processor)}
    models["texture"] = texture_model(model, processor, encryption, public, seed)
    parts = {part: Inputs((both, both_processor), encryption, pictures[part]) for part in ("train", "test")}
    found: dict[str, dict] = {}
    for part, inputs in parts.items():
        pixels = (inputs.pixels.permute(0, 2, 3, 1).numpy() + 1) * 127.5  # both_processor's, from -1 to 1
        tokens = tokens_of(models, np.rint(pixels), encryption.encrypted_patch_size)
        found[part] = tokens
    for name, kind in KINDS.items():
        started = time.process_time()
        seen = {part: features(model.pevit.eval(), found[part][kind]) for part in found}
        accuracy = probe(seen, parts, "eurosat")
        result = {"tokens": name, "seed": seed, "accuracy": accuracy, "patch": args.patch}
        result |= {
            "train": args.train,
            "test": args.test,
            "public": args.public,
            "explained": report.explained,
        }
        add_result(args.results, result | {"cpu_seconds": round(time.process_time() - started)})
        print(result, flush=True)


def rendered(results: list[dict]) -> str:
    """Mean and spread over the seeds; one line a kind of tokens."""
    rows = []
    for name in KINDS:
        runs = [100 * run["accuracy"] for run in results if run["tokens"] == name]
        if runs:
            rows.append([name, mean_and_deviation(runs, 1), len(runs)])
    return (
        table(["tokens of a patch", "validation accuracy, %", "seeds"], rows)
        if rows
        else "No row is stored yet."
    )


def main() -> None:
    args = parse_arguments()
    disable_progress_bars()
    if not args.report:
        done = {run["seed"] for run in load_results(args.results)}
        pictures = load_pictures(args)
        for seed in args.seeds:
            if seed not in done:
                measure(args, seed, pictures)
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    main()
