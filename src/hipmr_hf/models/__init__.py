"""Models on encrypted images. Importing this package registers them with the Auto classes of transformers.

The modules beside this file travel to the Hub with every checkpoint, so they import nothing else of this
project and only each other. Without torch, configurations and image processors are registered and the models
are absent.
"""

from transformers import AutoConfig, AutoImageProcessor
from transformers.utils import is_torch_available

from .configuration_pevit import PEViTConfig
from .configuration_peyolos import PEYolosConfig
from .image_processing_pevit import PEViTImageProcessorPil
from .image_processing_peyolos import PEYolosImageProcessorPil

__all__ = ["PEViTConfig", "PEViTImageProcessorPil", "PEYolosConfig", "PEYolosImageProcessorPil"]

# `register` makes the Auto classes find these classes in this process; `register_for_auto_class` makes
# save_pretrained copy their code beside the weights, for processes that do not have this package.
for _config, _processor in ((PEViTConfig, PEViTImageProcessorPil), (PEYolosConfig, PEYolosImageProcessorPil)):
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
    AutoImageProcessor.register(_config, image_processor_classes={"pil": _processor}, exist_ok=True)
    _config.register_for_auto_class("AutoConfig")
    _processor.register_for_auto_class("AutoImageProcessor")

if is_torch_available():
    from transformers import (
        AutoModel,
        AutoModelForImageClassification,
        AutoModelForObjectDetection,
        AutoModelForPreTraining,
        AutoModelForSemanticSegmentation,
    )

    from .modeling_pevit import (
        PEViTForImageClassification,
        PEViTForImageClassificationWithTeacher,
        PEViTModel,
        PEViTPreTrainedModel,
    )
    from .modeling_peyolos import PEYolosForObjectDetection, PEYolosModel, PEYolosPreTrainedModel
    from .pretraining_pevit import PEViTForPreTraining
    from .segmentation_pevit import PEViTForSemanticSegmentation

    __all__ += [
        "PEViTForImageClassification",
        "PEViTForImageClassificationWithTeacher",
        "PEViTForPreTraining",
        "PEViTForSemanticSegmentation",
        "PEViTModel",
        "PEViTPreTrainedModel",
        "PEYolosForObjectDetection",
        "PEYolosModel",
        "PEYolosPreTrainedModel",
    ]

    AutoModel.register(PEViTConfig, PEViTModel, exist_ok=True)
    # With several classes, the `architectures` of the checkpoint's config decide; the first is the default.
    AutoModelForImageClassification.register(
        PEViTConfig, (PEViTForImageClassification, PEViTForImageClassificationWithTeacher), exist_ok=True
    )
    AutoModelForPreTraining.register(PEViTConfig, PEViTForPreTraining, exist_ok=True)
    AutoModelForSemanticSegmentation.register(PEViTConfig, PEViTForSemanticSegmentation, exist_ok=True)
    PEViTModel.register_for_auto_class("AutoModel")
    PEViTForImageClassification.register_for_auto_class("AutoModelForImageClassification")
    PEViTForImageClassificationWithTeacher.register_for_auto_class("AutoModelForImageClassification")
    PEViTForPreTraining.register_for_auto_class("AutoModelForPreTraining")
    PEViTForSemanticSegmentation.register_for_auto_class("AutoModelForSemanticSegmentation")

    AutoModel.register(PEYolosConfig, PEYolosModel, exist_ok=True)
    AutoModelForObjectDetection.register(PEYolosConfig, PEYolosForObjectDetection, exist_ok=True)
    PEYolosModel.register_for_auto_class("AutoModel")
    PEYolosForObjectDetection.register_for_auto_class("AutoModelForObjectDetection")
