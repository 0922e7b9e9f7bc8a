"""Models on encrypted images. Importing this package registers them with the Auto classes of transformers.

The modules beside this file travel to the Hub with every checkpoint, so they import nothing else of this
project and only each other. Without torch, configurations and image processors are registered and the models
are absent.
"""

from transformers import AutoConfig, AutoImageProcessor
from transformers.utils import is_torch_available

from .configuration_pevit import PEViTConfig
from .image_processing_pevit import PEViTImageProcessorPil

__all__ = ["PEViTConfig", "PEViTImageProcessorPil"]

# `register` makes the Auto classes find these classes in this process; `register_for_auto_class` makes
# save_pretrained copy their code beside the weights, for processes that do not have this package.
AutoConfig.register(PEViTConfig.model_type, PEViTConfig, exist_ok=True)
AutoImageProcessor.register(
    PEViTConfig, image_processor_classes={"pil": PEViTImageProcessorPil}, exist_ok=True
)
PEViTConfig.register_for_auto_class("AutoConfig")
PEViTImageProcessorPil.register_for_auto_class("AutoImageProcessor")

if is_torch_available():
    from transformers import AutoModel, AutoModelForImageClassification

    from .modeling_pevit import (
        PEViTForImageClassification,
        PEViTForImageClassificationWithTeacher,
        PEViTModel,
        PEViTPreTrainedModel,
    )

    __all__ += [
        "PEViTForImageClassification",
        "PEViTForImageClassificationWithTeacher",
        "PEViTModel",
        "PEViTPreTrainedModel",
    ]

    AutoModel.register(PEViTConfig, PEViTModel, exist_ok=True)
    # With several classes, the `architectures` of the checkpoint's config decide; the first is the default.
    AutoModelForImageClassification.register(
        PEViTConfig, (PEViTForImageClassification, PEViTForImageClassificationWithTeacher), exist_ok=True
    )
    PEViTModel.register_for_auto_class("AutoModel")
    PEViTForImageClassification.register_for_auto_class("AutoModelForImageClassification")
    PEViTForImageClassificationWithTeacher.register_for_auto_class("AutoModelForImageClassification")
