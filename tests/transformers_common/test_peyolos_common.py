"""PEYOLOS under transformers' own common tests; docs/common_model_tests.md tells how to run them."""

import unittest

import torch
from transformers.modeling_outputs import SemanticSegmenterOutput
from transformers_common.common_tests import load_common

from hipmr_hf.models import PEYolosConfig, PEYolosForObjectDetection, PEYolosImageProcessorPil, PEYolosModel

configuration_common = load_common("test_configuration_common")
modeling_common = load_common("test_modeling_common")
image_processing_common = load_common("test_image_processing_common")

# The tests look up by class name what a model is for; a model inside transformers stands in this table.
modeling_common.MODEL_MAPPING_NAMES = {**modeling_common.MODEL_MAPPING_NAMES, "peyolos": "PEYolosModel"}


class PEYolosModelTester:
    """Builds tiny configs and inputs in the way that ModelTesterMixin asks for them."""

    base_model_class = PEYolosModel
    batch_size, num_channels, patch_size, num_labels, num_detection_tokens = 4, 3, 4, 3, 5
    image_size = (12, 20)
    hidden_size, num_hidden_layers, num_attention_heads, intermediate_size = 32, 2, 4, 37
    is_training = True
    # class token, patches, detection tokens
    seq_length = encoder_seq_length = expected_seq_len = 1 + 3 * 5 + num_detection_tokens
    use_mid_position_embeddings = False

    def __init__(self, parent: unittest.TestCase):
        self.parent = parent

    def get_config(self) -> PEYolosConfig:
        return PEYolosConfig(
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
            image_size=self.image_size,
            patch_size=self.patch_size,
            num_channels=self.num_channels,
            num_labels=self.num_labels,
            num_detection_tokens=self.num_detection_tokens,
            use_mid_position_embeddings=self.use_mid_position_embeddings,
        )

    def prepare_config_and_inputs_for_common(self):
        shape = (self.batch_size, self.num_channels, *self.image_size)
        return self.get_config(), {"pixel_values": modeling_common.floats_tensor(shape)}


class PEYolosModelTest(modeling_common.ModelTesterMixin, unittest.TestCase):
    all_model_classes = (PEYolosModel, PEYolosForObjectDetection)
    model_tester_class = PEYolosModelTester
    test_resize_embeddings = False

    def setUp(self):
        self.model_tester = self.model_tester_class(self)
        self.config_tester = configuration_common.ConfigTester(
            self, config_class=PEYolosConfig, has_text_modality=False, hidden_size=36
        )

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs_dict = super()._prepare_for_class(inputs_dict, model_class, return_labels=return_labels)
        if return_labels and model_class is PEYolosForObjectDetection:
            inputs_dict["labels"] = [
                {
                    "class_labels": torch.ones(2, dtype=torch.long, device=modeling_common.torch_device),
                    "boxes": torch.full((2, 4), 0.5, device=modeling_common.torch_device),
                }
                for _ in range(self.model_tester.batch_size)
            ]
        return inputs_dict

    def test_config(self):
        self.config_tester.run_common_tests()

    def test_model_get_set_embeddings(self):
        """As in transformers' own vision models: the input embeddings are patches, not an nn.Embedding."""
        for model_class in self.all_model_classes:
            model = model_class(self.model_tester.get_config())
            assert isinstance(model.get_input_embeddings(), torch.nn.Module)
            assert model.get_output_embeddings() is None


class PEYolosMidPositionsModelTester(PEYolosModelTester):
    use_mid_position_embeddings = True


class PEYolosMidPositionsModelTest(PEYolosModelTest):
    model_tester_class = PEYolosMidPositionsModelTester


class PEYolosImageProcessingTester(image_processing_common.ImageProcessingTester):
    """Asks for images of whole patches, which are the only ones that the processor takes."""

    def __init__(self, parent, **kwargs):
        super().__init__(parent, min_resolution=32, max_resolution=64, patch_size=4, **kwargs)

    def _get_image_processing_classes(self):
        return {"pil": PEYolosImageProcessorPil}

    def prepare_image_inputs(self, *args, **kwargs):
        kwargs["equal_resolution"] = (
            True  # the processor never resizes, and random sizes are not whole patches
        )
        return super().prepare_image_inputs(*args, **kwargs)

    def expected_output_image_shape(self, images):
        return self.num_channels, self.max_resolution, self.max_resolution

    def prepare_post_process_semantic_segmentation_inputs(self):
        """The common one asks for a `size`, which an encrypted picture's processor refuses."""
        shape = {"num_labels": 3, "height": 16, "width": 24}
        logits = torch.randn(self.batch_size, *shape.values())
        return {"outputs": SemanticSegmenterOutput(logits=logits)}, shape


class PEYolosImageProcessingTest(
    image_processing_common.ImageProcessingTestMixin,
    image_processing_common.PostProcessSemanticSegmentationTestMixin,
    unittest.TestCase,
):
    image_processor_tester_class = PEYolosImageProcessingTester

    def test_new_models_require_torchvision_backend(self):
        self.skipTest("hipmr-hf works without torchvision, so its processors have the PIL backend alone")
