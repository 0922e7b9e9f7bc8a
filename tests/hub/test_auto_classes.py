"""Auto classes find this package's models after a plain `import hipmr_hf`, in fresh processes."""

import os
import pty
import subprocess
import sys
import textwrap

import pytest
from hub_server import HubServer

from hipmr_hf.models import PEViTConfig, PEViTForImageClassification, PEViTImageProcessorPil


def run_python(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    config = PEViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, patch_size=8)
    PEViTForImageClassification(config).save_pretrained(folder)
    PEViTImageProcessorPil(patch_size=8).save_pretrained(folder)
    return folder


def test_importing_the_package_imports_no_heavy_library():
    code = """
    import sys, hipmr_hf
    print([name for name in ("torch", "transformers", "numpy", "PIL") if name in sys.modules])
    """
    assert run_python(code).strip() == "[]"


def test_auto_classes_work_after_a_plain_import(checkpoint):
    """`from transformers import ViTModel` reaches the Auto classes in the middle of other imports."""
    code = """
    import sys, hipmr_hf
    from transformers import ViTModel, AutoImageProcessor, AutoModelForImageClassification
    assert "hipmr_hf.models" not in sys.modules
    print(type(AutoImageProcessor.from_pretrained(sys.argv[1])).__module__)
    print(type(AutoModelForImageClassification.from_pretrained(sys.argv[1])).__module__)
    """
    output = run_python(code, checkpoint)
    assert "hipmr_hf.models.image_processing_pevit" in output
    assert "hipmr_hf.models.modeling_pevit" in output


def test_auto_classes_work_when_transformers_was_imported_first(checkpoint):
    code = """
    import sys
    from transformers import AutoConfig, AutoModel
    import hipmr_hf
    print(type(AutoConfig.from_pretrained(sys.argv[1])).__module__)
    print(type(AutoModel.from_pretrained(sys.argv[1])))
    """
    output = run_python(code, checkpoint)
    assert "hipmr_hf.models.configuration_pevit" in output
    assert "hipmr_hf.models.modeling_pevit.PEViTModel" in output


def test_a_pipeline_asks_nothing_at_a_terminal(checkpoint, tmp_path):
    """The package's own code is used, so nobody has to say whether the checkpoint's can be trusted."""
    code = """
    import sys, hipmr_hf
    from transformers import pipeline
    for place in sys.argv[1:]:
        classify = pipeline("image-classification", model=place, device="cpu")
        print(type(classify.model).__module__, type(classify.image_processor).__module__)
    """
    with HubServer(tmp_path / "hub") as hub:
        environment = {**hub.environment("hf_owner", tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        push = "import sys, hipmr_hf\nfrom huggingface_hub import HfApi\nHfApi().create_repo('owner/pevit')\n"
        push += "HfApi().upload_folder(repo_id='owner/pevit', folder_path=sys.argv[1])"
        subprocess.run([sys.executable, "-c", push, checkpoint], env=environment, check=True, timeout=120)
        shown = at_a_terminal(textwrap.dedent(code), checkpoint, "owner/pevit", environment=environment)
    assert shown.count("hipmr_hf.models.modeling_pevit hipmr_hf.models.image_processing_pevit") == 2, shown
    assert "custom code" not in shown and "[y/N]" not in shown


def at_a_terminal(code: str, *arguments: object, environment: dict[str, str]) -> str:
    """Run code where standard input is a terminal at which nobody answers."""
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_broken_models_warn_and_leave_transformers_working(tmp_path):
    PEViTConfig(hidden_size=32, num_attention_heads=2).save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text().replace('"pevit"', '"vit"').replace("auto_map", "unused")
    (tmp_path / "config.json").write_text(config)
    code = """
    import sys, hipmr_hf
    sys.modules["hipmr_hf.models"] = None  # importing it now raises ImportError
    from transformers import AutoConfig
    print(AutoConfig.from_pretrained(sys.argv[1]).model_type)
    """
    output = run_python(code, tmp_path)
    assert "vit" in output.splitlines()
    assert "The models of hipmr_hf are not registered" in output


def test_without_torch_config_and_processor_are_registered(checkpoint):
    code = """
    import importlib.abc, sys

    class NoTorch(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name.split(".")[0] == "torch":
                raise ModuleNotFoundError("No module named 'torch'", name="torch")

    import importlib.metadata, importlib.util
    find = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *rest: None if name.startswith("torch") else find(name, *rest)
    sys.meta_path.insert(0, NoTorch())

    import numpy as np
    import hipmr_hf
    from transformers import AutoConfig, AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(sys.argv[1])
    print(processor([np.zeros((16, 24, 3), np.uint8)], return_tensors="np").pixel_values.shape)
    print(type(AutoConfig.from_pretrained(sys.argv[1])).__module__, hasattr(hipmr_hf.models, "PEViTModel"))
    assert "torch" not in sys.modules
    try:
        hipmr_hf.PEViTModel
    except ImportError as error:
        print(error)
    """
    output = run_python(code, checkpoint)
    assert "(1, 3, 16, 24)" in output
    assert 'PEViTModel needs a library that is not installed; run: pip install "hipmr-hf[torch]"' in output
    assert "hipmr_hf.models.configuration_pevit False" in output
