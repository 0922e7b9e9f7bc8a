"""PEViT under transformers' own common tests; docs/common_model_tests.md tells how to run them."""

import unittest

import torch
from transformers.modeling_outputs import SemanticSegmenterOutput
from transformers_common.common_tests import load_common

from hipmr_hf.models import (
    PEViTConfig,
    PEViTForImageClassification,
    PEViTForImageClassificationWithTeacher,
    PEViTForSemanticSegmentation,
    PEViTImageProcessorPil,
    PEViTModel,
)

configuration_common = load_common("test_configuration_common")
modeling_common = load_common("test_modeling_common")
image_processing_common = load_common("test_image_processing_common")

# The tests look up by class name what a model is for; a model inside transformers stands in these tables.
modeling_common.MODEL_MAPPING_NAMES = {**modeling_common.MODEL_MAPPING_NAMES, "pevit": "PEViTModel"}
modeling_common.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES = {
    **modeling_common.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    "pevit": "PEViTForImageClassification",
    "pevit_distilled": "PEViTForImageClassificationWithTeacher",
}
modeling_common.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES = {
    **modeling_common.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES,
    "pevit": "PEViTForSemanticSegmentation",
}


class PEViTModelTester:
    """Builds tiny configs and inputs in the way that ModelTesterMixin asks for them."""

    base_model_class = PEViTModel
    batch_size, num_channels, image_size, patch_size, num_labels = 4, 3, 16, 4, 3
    hidden_size, num_hidden_layers, num_attention_heads, intermediate_size = 32, 2, 4, 37
    is_training = True
    seq_length = encoder_seq_length = (image_size // patch_size) ** 2 + 1  # class token and patches

    def __init__(self, parent: unittest.TestCase):
        self.parent = parent

    def get_config(self) -> PEViTConfig:
        return PEViTConfig(
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
            image_size=self.image_size,
            patch_size=self.patch_size,
            num_channels=self.num_channels,
            num_labels=self.num_labels,
            distillation_type="none",  # the common training tests know labels, but no teacher
        )

    def prepare_config_and_inputs_for_common(self):
        shape = (self.batch_size, self.num_channels, self.image_size, self.image_size)
        return self.get_config(), {"pixel_values": modeling_common.floats_tensor(shape)}


class PEViTModelTest(modeling_common.ModelTesterMixin, unittest.TestCase):
    all_model_classes = (PEViTModel, PEViTForImageClassification)
    model_tester_class = PEViTModelTester
    test_resize_embeddings = False

    def setUp(self):
        self.model_tester = self.model_tester_class(self)
        self.config_tester = configuration_common.ConfigTester(
            self, config_class=PEViTConfig, has_text_modality=False, hidden_size=36
        )

    def test_config(self):
        self.config_tester.run_common_tests()

    def test_model_get_set_embeddings(self):
        """As in transformers' own vision models: the input embeddings are patches, not an nn.Embedding."""
        for model_class in self.all_model_classes:
            model = model_class(self.model_tester.get_config())
            assert isinstance(model.get_input_embeddings(), torch.nn.Module)
            assert model.get_output_embeddings() is None


class PEViTAbsolutePositionsModelTester(PEViTModelTester):
    def get_config(self) -> PEViTConfig:
        config = super().get_config().to_dict()
        return PEViTConfig(**{**config, "position_encoding": "absolute", "patch_embedding": "nonlinear"})


class PEViTAbsolutePositionsModelTest(PEViTModelTest):
    all_model_classes = (PEViTModel, PEViTForImageClassification, PEViTForSemanticSegmentation)
    model_tester_class = PEViTAbsolutePositionsModelTester


class PEViTInvariantEmbeddingModelTester(PEViTModelTester):
    def get_config(self) -> PEViTConfig:
        return PEViTConfig(**{**super().get_config().to_dict(), "patch_embedding": "invariant"})


class PEViTInvariantEmbeddingModelTest(PEViTModelTest):
    model_tester_class = PEViTInvariantEmbeddingModelTester


class PEViTTextureEmbeddingModelTester(PEViTModelTester):
    def get_config(self) -> PEViTConfig:
        return PEViTConfig(**{**super().get_config().to_dict(), "patch_embedding": "texture"})


class PEViTTextureEmbeddingModelTest(PEViTModelTest):
    model_tester_class = PEViTTextureEmbeddingModelTester


class PEViTDistilledModelTester(PEViTModelTester):
    seq_length = encoder_seq_length = PEViTModelTester.seq_length + 1  # the distillation token


class PEViTDistilledModelTest(PEViTModelTest):
    all_model_classes = (PEViTForImageClassificationWithTeacher,)
    model_tester_class = PEViTDistilledModelTester


class PEViTImageProcessingTester(image_processing_common.ImageProcessingTester):
    """Asks for images of whole patches, which are the only ones that PEViT's processor takes."""

    def __init__(self, parent, **kwargs):
        super().__init__(parent, min_resolution=32, max_resolution=64, patch_size=4, **kwargs)

    def _get_image_processing_classes(self):
        return {"pil": PEViTImageProcessorPil}

    def prepare_image_inputs(self, *args, **kwargs):
        kwargs["equal_resolution"] = True  # the processor never resizes, so a batch has one size
        return super().prepare_image_inputs(*args, **kwargs)

    def expected_output_image_shape(self, images):
        return self.num_channels, self.max_resolution, self.max_resolution

    def prepare_post_process_semantic_segmentation_inputs(self):
        """The common one asks for a `size`, which an encrypted picture's processor refuses."""
        shape = {"num_labels": 3, "height": 16, "width": 24}
        logits = torch.randn(self.batch_size, *shape.values())
        return {"outputs": SemanticSegmenterOutput(logits=logits)}, shape


class PEViTImageProcessingTest(
    image_processing_common.ImageProcessingTestMixin,
    image_processing_common.PostProcessSemanticSegmentationTestMixin,
    unittest.TestCase,
):
    image_processor_tester_class = PEViTImageProcessingTester

    def test_new_models_require_torchvision_backend(self):
        self.skipTest("hipmr-hf works without torchvision, so its processors have the PIL backend alone")
