"""Every file of examples/accelerate_configs is understood, and those for CPUs are run for two steps."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from example_helpers import EXAMPLES, TINY_MODEL, results

FOLDER = EXAMPLES / "accelerate_configs"
CONFIGS = sorted(path.name for path in FOLDER.glob("*.yaml"))
TWO_STEPS = ["--do_train", "--do_eval", "--max_steps", "2", "--per_device_train_batch_size", "8"]
TWO_STEPS += ["--report_to", "none", "--save_strategy", "no", *TINY_MODEL]


@pytest.fixture
def start(tmp_path):
    """Start the training script as a user does, with one of the files."""

    def run(config: str, dataset: Path, output: Path, *flags: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(FOLDER / config)]
        command += [*flags, str(EXAMPLES / "run_image_classification.py"), "--dataset_name", str(dataset)]
        environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        environment["ACCELERATE_USE_CPU"] = "true"  # of `use_cpu` in a file, the launcher tells nothing
        return subprocess.Popen(
            [*command, "--output_dir", str(output), *TWO_STEPS],
            env={**environment, "GLOO_SOCKET_IFNAME": "lo"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


def finish(*processes: subprocess.Popen) -> None:
    try:
        for process in processes:
            output, _ = process.communicate(timeout=240)
            assert process.returncode == 0, output[-5000:]
    finally:
        for process in processes:
            process.kill()


def free_port() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


@pytest.mark.parametrize("name", CONFIGS)
def test_accelerate_knows_every_key(name):
    load_config_from_file(str(FOLDER / name))  # refuses keys that it does not know
    args = launch_command_parser().parse_args(["--config_file", str(FOLDER / name), "script.py"])
    settings = yaml.safe_load((FOLDER / name).read_text())
    assert all(hasattr(args, key) for key in settings.get("fsdp_config", {}))
    args, _, _ = _validate_launch_command(args)
    assert args.num_processes == settings["num_processes"]
    assert args.num_machines == settings["num_machines"]
    assert bool(args.use_cpu) == settings.get("use_cpu", False)
    assert (args.multi_gpu, args.use_fsdp) == (
        settings["distributed_type"] == "MULTI_GPU",
        settings["distributed_type"] == "FSDP",
    )
    assert args.fsdp_version == ("2" if "fsdp2" in name else "1") or args.fsdp_version == 2


@pytest.mark.slow
def test_two_processes(start, folders, tmp_path):
    finish(start("two_cpu_processes.yaml", folders["rs"], tmp_path / "out", "--main_process_port", "0"))
    assert results(tmp_path / "out")["world_size"] == 2


@pytest.mark.slow
def test_two_machines(start, folders, tmp_path):
    """Two launchers that know each other by an address only, as on two machines."""
    flags = ["--main_process_ip", "127.0.0.1", "--main_process_port", free_port()]
    finish(
        *(
            start("two_cpu_nodes.yaml", folders["rs"], tmp_path / f"{i}", *flags, "--machine_rank", str(i))
            for i in range(2)
        )
    )
    assert results(tmp_path / "0")["world_size"] == 2
    assert not (tmp_path / "1" / "all_results.json").exists()


# What fsdp2.yaml asks for, without Accelerate, which shards nothing on the CPU (seen in 1.15).
SHARDED_STEP = """
import os, sys
import torch
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from hipmr_hf import models

def check(model):
    model.eval()
    pixels = torch.randn(2, 3, 32, 32)
    whole = model(pixels).logits.square().sum()
    whole.backward()
    expected = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    wrapped = [each for each in model.modules() if type(each).__name__ in model._no_split_modules]
    assert {type(each).__name__ for each in wrapped} == set(model._no_split_modules), wrapped
    for part in (*wrapped, model):
        fully_shard(part, mesh=mesh)
    loss = model(pixels).logits.square().sum()
    loss.backward()
    torch.testing.assert_close(loss, whole)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert len(parameter) == 1 or parameter.to_local().numel() < parameter.numel()
        if gradient is not None:
            torch.testing.assert_close(parameter.grad.full_tensor(), gradient, atol=1e-4, rtol=1e-4)

init_process_group("gloo")
mesh = init_device_mesh("cpu", (2,))
small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
small |= {"patch_size": 8, "num_labels": 3}
torch.manual_seed(0)
check(models.PEViTForImageClassification(models.PEViTConfig(**small)))
small |= {"image_size": [32, 32], "num_detection_tokens": 4}
check(models.PEYolosForObjectDetection(models.PEYolosConfig(**small)))
destroy_process_group()
print("both models checked")
sys.stdout.flush()
os._exit(0)  # a thread of Gloo that lets go of its tensors while Python shuts down aborts the process
"""


@pytest.mark.slow
def test_sharding_the_layers_that_a_model_names_changes_no_loss_and_no_gradient(tmp_path):
    (tmp_path / "step.py").write_text(SHARDED_STEP)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--master_addr", "127.0.0.1", "--master_port", free_port(), str(tmp_path / "step.py")]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    assert done.stdout.count("both models checked") == 2  # once in each process
