"""A handler for Inference Endpoints: a model that takes encrypted pictures, and refuses plain ones.

    cp examples/endpoint/handler.py outputs/quickstart/pevit/
    hf upload me/pevit outputs/quickstart/pevit .

Copy it into the checkpoint's repository; an endpoint of it loads `EndpointHandler` and needs nothing else,
for the model's code lies there too. It speaks the Hub's image-classification API: a picture in, as the body
of the request or as base64 in JSON, and a list of label and score out.
"""

import base64
import binascii
import io
from typing import Any

from PIL import Image
from transformers import Pipeline, pipeline

MOST_BYTES, MOST_PIXELS = 2**25, 2**24
FORMATS = ("PNG", "WEBP", "JPEG")
PARAMETERS = {"top_k", "function_to_apply"}
HOW_TO_SEAL = (
    "Encrypt it where it lies, with the settings in this repository's encryption_config.json: "
    "Encryption.from_pretrained(REPOSITORY)(image) of hipmr_hf, or the same in a web page with hipmr.js."
)


class EndpointHandler:
    """What an endpoint calls.

    Args:
        path: the repository's folder.

    Example:
        EndpointHandler("pevit")({"inputs": open("sent.png", "rb").read()})
    """

    def __init__(self, path: str = ".") -> None:
        # This repository's own code, in the commit that the endpoint was made for; nothing else is run.
        self.classify: Pipeline = pipeline("image-classification", model=path, trust_remote_code=True)

    def __call__(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Answer one request.

        Args:
            data: `inputs`, a PIL image, the bytes of a PNG, WebP or JPEG file, or these in base64; and
                `parameters` of the pipeline, "top_k" or "function_to_apply", if any.

        Returns:
            `label` and `score` of the likeliest classes, the likeliest first.

        Raises:
            ValueError: no picture, a plain one, or one that was encrypted otherwise. Its text is fit for the
                client, and holds nothing of the picture.
        """
        picture = read(data.get("inputs", b""))
        parameters = {
            name: value for name, value in (data.get("parameters") or {}).items() if value is not None
        }
        if unknown := sorted(parameters.keys() - PARAMETERS):
            raise ValueError(f"parameters: got {unknown}, expected some of {sorted(PARAMETERS)}.")
        if self.classify.image_processor.looks_plain(picture):
            raise ValueError(
                "inputs: the picture looks plain, and this model takes encrypted ones alone; it was not "
                f"classified. It has been sent, so take it for seen. {HOW_TO_SEAL}"
            )
        return self.classify(picture, **parameters)


def read(inputs: Any) -> Image.Image:
    """The picture of a request, three channels."""
    if isinstance(inputs, str):
        try:
            inputs = base64.b64decode(inputs.split(",")[-1], validate=True)  # a data URL has a head
        except binascii.Error:
            raise ValueError("inputs: got text that is no base64; send the bytes of a picture.") from None
    if isinstance(inputs, bytes | bytearray):
        if not 0 < len(inputs) <= MOST_BYTES:
            raise ValueError(f"inputs: got {len(inputs)} bytes, expected a picture of at most {MOST_BYTES}.")
        try:
            inputs = Image.open(io.BytesIO(inputs), formats=FORMATS)
        except (OSError, Image.DecompressionBombError):
            raise ValueError(f"inputs: got no picture, expected a file of {', '.join(FORMATS)}.") from None
    if not isinstance(inputs, Image.Image):
        raise ValueError(f"inputs: got {type(inputs).__name__}, expected a picture, its bytes, or base64.")
    if inputs.width * inputs.height > MOST_PIXELS:
        raise ValueError(
            f"inputs: got {inputs.width}x{inputs.height}, expected at most {MOST_PIXELS} pixels."
        )
    try:
        return inputs.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError):  # what Pillow raises for damaged files
        raise ValueError("inputs: the picture's file is damaged; send it again.") from None
