"""`hipmr export`: write a checkpoint as ONNX, for servers and pages without torch."""

import argparse

from ..errors import check_extra
from .hub_arguments import add_token, token_in_use

EPILOG = """\
examples:
  hipmr export pevit --output-dir pevit-onnx
  hipmr export me/pevit --output-dir pevit-onnx --dtype int8
  hipmr export pevit --output-dir pevit-onnx --push-to-hub me/pevit-onnx

More: docs/client.md"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr export` takes."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="Folder or Hub repository of a PEViT classifier or a PEYOLOS.",
    )
    parser.add_argument("--output-dir", metavar="DIR", required=True, help="New folder for the export.")
    parser.add_argument(
        "--dtype",
        choices=("fp32", "fp16", "int8"),
        default="fp32",
        help="Of the weights; fp16 and int8 are smaller and less exact. Default: fp32.",
    )
    parser.add_argument("--push-to-hub", metavar="REPO_ID", help="Model repository that the folder goes to.")
    add_token(parser.add_argument_group("the Hub"))


def run(options: argparse.Namespace) -> None:
    """Export, compare with torch, save, and push if asked to."""
    from pathlib import Path

    from ..files import check_is_free, whole_folder
    from .summary import Summary, size_of

    check_extra("hipmr export", "export", "torch", "transformers", "onnx", "onnxscript", "onnxruntime")
    output_dir = Path(options.output_dir)
    check_is_free(output_dir)
    from ..hub.onnx_export import add_card_section, checkpoint_folder, export_onnx

    with token_in_use(options.token):
        checkpoint = checkpoint_folder(options.checkpoint)
        with whole_folder(output_dir) as folder:
            report = export_onnx(checkpoint, folder, dtype=options.dtype)
            add_card_section(folder, report, options.dtype)
        facts = [
            size_of(output_dir),
            f"{report.file}: {report.size / 1e6:.2f} MB, {1000 * report.seconds:.1f} ms a picture, "
            f"{1000 * report.seconds_torch:.1f} ms in torch",
            f"largest difference from torch: {report.difference:.1e}, of batches "
            + ", ".join("x".join(map(str, shape)) for shape in report.shapes),
        ]
        if options.push_to_hub is not None:
            facts.append(f"pushed: {_push(output_dir, options.push_to_hub)}")
    Summary(f"ONNX export: {output_dir}", facts).say()


def _push(folder: object, repo_id: str) -> str:
    from huggingface_hub import HfApi

    from ..errors import hub_told
    from ..leaks.guard import check_no_leaks

    check_no_leaks(folder)
    with hub_told(f"the push to {repo_id}"):
        api = HfApi()
        api.create_repo(repo_id, exist_ok=True)
        return api.upload_folder(
            repo_id=repo_id, folder_path=folder, commit_message="Publish the model as ONNX"
        ).commit_url
