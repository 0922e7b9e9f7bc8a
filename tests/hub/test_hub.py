"""Pushing and loading over real HTTP, with the unmodified client and a Hub on the loopback interface."""

import json
import logging
import os
import runpy
from pathlib import Path

import datasets
import huggingface_hub
import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, load_dataset
from example_helpers import EXAMPLES, TINY_MODEL, digits
from hub_server import Fault
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from transformers import AutoImageProcessor, AutoModelForImageClassification

from hipmr_hf import PEViTConfig, PEViTForImageClassification, PEViTImageProcessorPil, RandomShuffling
from hipmr_hf.cli import main
from hipmr_hf.dataset.mapping import encrypt_dataset, save_encrypted_dataset
from hipmr_hf.encryption import Encryption
from hipmr_hf.hub.publishing import card_on_the_hub, check_can_push, push_encrypted_folder
from hipmr_hf.leaks.guard import find_leaks, find_leaks_in_repo

SHUFFLING = RandomShuffling(image_size=32, patch_size=8)
CANARY = "john_doe_canary"


def plain_dataset(rows: int = 6) -> Dataset:
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(rows)]
    features = Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"])})
    return Dataset.from_dict({"image": images, "label": [i % 2 for i in range(rows)]}, features=features)


@pytest.fixture
def folder(tmp_path) -> Path:
    encrypted = encrypt_dataset(DatasetDict(train=plain_dataset(), test=plain_dataset(2)), SHUFFLING)
    return save_encrypted_dataset(encrypted, SHUFFLING, tmp_path / "encrypted")


# Models, processors, settings


def test_a_model_comes_back_with_its_processor_and_settings(hub):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 8}
    model = PEViTForImageClassification(PEViTConfig(**sizes, num_labels=2)).eval()
    model.push_to_hub("owner/pevit")
    PEViTImageProcessorPil(patch_size=8).push_to_hub("owner/pevit")
    SHUFFLING.push_to_hub("owner/pevit")
    loaded = AutoModelForImageClassification.from_pretrained("owner/pevit")
    processor = AutoImageProcessor.from_pretrained("owner/pevit")
    assert Encryption.from_pretrained("owner/pevit") == SHUFFLING
    pixels = processor(np.zeros((32, 32, 3), np.uint8), return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(loaded(**pixels).logits, model(**pixels).logits, atol=1e-6, rtol=0)
    files = hub.files("models", "owner/pevit")
    assert {"modeling_pevit.py", "image_processing_pevit.py", "model.safetensors"} <= files.keys()


def test_settings_of_a_dataset_are_found_without_saying_that_it_is_one(hub, folder):
    push_encrypted_folder(folder, "owner/scans")
    assert Encryption.from_pretrained("owner/scans") == SHUFFLING
    assert Encryption.from_pretrained("owner/scans", repo_type="dataset") == SHUFFLING


# Datasets


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_own_push_publishes_only_what_is_encrypted(hub, streaming):
    plain = plain_dataset()
    encrypted = encrypt_dataset(plain.to_iterable_dataset() if streaming else plain, SHUFFLING)
    encrypted.push_to_hub("owner/scans")
    SHUFFLING.push_to_hub("owner/scans", repo_type="dataset")
    report = find_leaks_in_repo("owner/scans")
    assert report.leaks == () and report.num_rows == 6
    loaded = load_dataset("owner/scans", split="train", streaming=streaming)
    assert [row["label"] for row in loaded] == plain["label"][:]
    assert next(iter(loaded))["image"].size == (32, 32)


def test_a_folder_is_published_in_one_commit_and_loads(hub, folder):
    push_encrypted_folder(folder, "owner/scans")
    commits = HfApi().list_repo_commits("owner/scans", repo_type="dataset")
    assert [commit.title for commit in commits] == ["Publish the encrypted dataset", "initial commit"]
    loaded = load_dataset("owner/scans")
    assert {name: len(split) for name, split in loaded.items()} == {"train": 6, "test": 2}


def test_publishing_again_replaces_shards_and_keeps_peoples_words(hub, folder, tmp_path):
    push_encrypted_folder(folder, "owner/scans")
    HfApi().upload_file(
        path_or_fileobj=b"# My words\n",
        path_in_repo="README.md",
        repo_id="owner/scans",
        repo_type="dataset",
    )
    smaller = save_encrypted_dataset(
        encrypt_dataset(plain_dataset(3), SHUFFLING), SHUFFLING, tmp_path / "new"
    )
    (smaller / "README.md").write_text("# Ours\n")
    push_encrypted_folder(smaller, "owner/scans")
    files = hub.files("datasets", "owner/scans")
    assert [name for name in files if name.startswith("data/")] == ["data/train-00000-of-00001.parquet"]
    assert files["README.md"] == b"# My words\n"


def test_nothing_is_sent_when_there_is_a_leak(hub, folder):
    (folder / "data" / f"{CANARY}.png").touch()
    with pytest.raises(ValueError, match="must not be published"):
        push_encrypted_folder(folder, "owner/scans")
    assert not [request for request in hub.requests if not request.startswith("GET")]


# Rights


def test_a_private_repository_gives_the_hubs_own_errors(hub, folder, monkeypatch):
    push_encrypted_folder(folder, "owner/scans", private=True)
    assert Encryption.from_pretrained("owner/scans") == SHUFFLING
    for token in ("hf_client", None):
        monkeypatch.setattr(constants, "HF_HUB_CACHE", f"{constants.HF_HUB_CACHE}_of_{token}")
        monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(RepositoryNotFoundError, match="private or gated repo"):
            HfApi().dataset_info("owner/scans")
        with pytest.raises(RepositoryNotFoundError):
            Encryption.from_pretrained("owner/scans")
        with pytest.raises(datasets.exceptions.DatasetNotFoundError):
            load_dataset("owner/scans")
    with pytest.raises(HfHubHTTPError) as error:
        HfApi(token="hf_wrong").whoami()
    assert error.value.response.status_code == 401


def test_the_command_tells_the_hubs_error_in_one_line(hub, folder, monkeypatch, capsys, tmp_path):
    push_encrypted_folder(folder, "owner/scans", private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_client")
    capsys.readouterr()
    assert main(["encrypt", "owner/scans", "--output-dir", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "nor a dataset on the Hub that your token can read" in error
    with pytest.raises(HfHubHTTPError, match="403"):
        push_encrypted_folder(folder, "owner/other")


def test_names_revisions_and_files_that_are_not_there(hub, folder):
    push_encrypted_folder(folder, "owner/scans")
    api = HfApi()
    with pytest.raises(huggingface_hub.errors.RevisionNotFoundError):
        api.dataset_info("owner/scans", revision="nowhere")
    with pytest.raises(huggingface_hub.errors.EntryNotFoundError):
        api.hf_hub_download("owner/scans", "nothing.txt", repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("owner/scans", repo_type="dataset")
    api.create_repo("owner/bare", repo_type="dataset")
    assert card_on_the_hub("owner/bare", repo_type="dataset") is None
    assert card_on_the_hub("owner/nothing") is None


def test_a_commit_on_an_old_parent_is_refused(hub, folder):
    push_encrypted_folder(folder, "owner/scans")
    api, add = HfApi(), huggingface_hub.CommitOperationAdd("a.txt", b"a")
    old = api.list_repo_commits("owner/scans", repo_type="dataset")[-1].commit_id
    with pytest.raises(HfHubHTTPError) as error:
        api.create_commit("owner/scans", [add], commit_message="a", repo_type="dataset", parent_commit=old)
    assert error.value.response.status_code == 412


# Before the work


@pytest.fixture
def plain(tmp_path) -> Path:
    (tmp_path / "plain" / "cat").mkdir(parents=True)
    for i in range(3):
        plain_dataset()[i]["image"].save(tmp_path / "plain" / "cat" / f"{CANARY}_{i}.png")
    return tmp_path / "plain"


def push(plain: Path, repo_id: str, *options: str) -> int:
    command = ["encrypt", str(plain), "--output-dir", str(plain.parent / "out"), "--image-size", "32"]
    return main([*command, "--patch-size", "8", "--push-to-hub", repo_id, *options])


def who_is(monkeypatch, **answer: object) -> None:
    token = {"accessToken": {"role": "write"}}
    who = {"type": "user", "name": "owner", "orgs": [], "auth": token, **answer}
    monkeypatch.setattr(HfApi, "whoami", lambda self: who)


def refused(plain: Path, repo_id: str, capsys, *options: str) -> str:
    """A push that is refused in one line, before anything was read or written."""
    capsys.readouterr()
    assert push(plain, repo_id, *options) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert [path.name for path in plain.parent.glob("*out*")] == []
    return captured.err


def test_nobody_logged_in_is_told_before_the_work(hub, plain, monkeypatch, capsys):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "no/such/file")
    told = refused(plain, "owner/scans", capsys)
    assert "nobody is logged in" in told and "`hf auth login`" in told


def test_a_token_that_the_hub_does_not_know_is_told_before_the_work(hub, plain, monkeypatch, capsys):
    told = refused(plain, "owner/scans", capsys, "--token", "hf_wrong")
    assert "the Hub refuses (status 401)" in told and "`hf auth login`" in told and "hf_wrong" not in told


def test_a_hub_out_of_reach_is_told_before_the_work(hub, plain, monkeypatch, capsys):
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    told = refused(plain, "owner/scans", capsys)
    assert "the Hub cannot be reached (ConnectError)" in told and "Errno" not in told


def test_somebody_elses_repository_is_told_before_the_work(hub, plain, capsys):
    told = refused(plain, "somebody/scans", capsys)
    assert "owner cannot write to repositories of somebody; name one of your own, such as owner/scans" in told


def test_a_name_that_no_repository_can_have_is_told_before_the_work(hub, plain, capsys):
    assert "REPO_ID: got 'a/b/c', expected NAME or OWNER/NAME" in refused(plain, "a/b/c", capsys)


@pytest.mark.parametrize(
    "token",
    [
        {"role": "read"},
        {"role": "fineGrained", "fineGrained": {"scoped": [{"permissions": ["repo.content.read"]}]}},
    ],
)
def test_a_token_that_may_only_read_is_told_before_the_work(hub, plain, monkeypatch, capsys, token):
    who_is(monkeypatch, auth={"accessToken": token})
    assert "the token of owner may only read" in refused(plain, "owner/scans", capsys)


@pytest.mark.parametrize(("role", "may"), [("read", False), ("write", True), ("admin", True), (None, True)])
def test_an_organisation_is_asked_for_the_role_of_its_member(hub, monkeypatch, role, may):
    who_is(monkeypatch, orgs=[{"name": "clinic", "roleInOrg": role}])
    if may:
        check_can_push("clinic/scans")
        return
    with pytest.raises(ConnectionError, match="owner cannot write to repositories of clinic"):
        check_can_push("clinic/scans")


@pytest.mark.parametrize("repo_id", ["owner/scans", "scans"])
def test_one_of_ones_own_is_fine(hub, repo_id):
    check_can_push(repo_id)


def test_token_and_commit_message_are_those_given(hub, plain, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_client")
    assert push(plain, "owner/scans", "--token", "hf_owner", "--commit-message", "Scans of May") == 0
    assert os.environ["HF_TOKEN"] == "hf_client"
    captured = capsys.readouterr()
    assert "hf_owner" not in captured.out + captured.err
    commits = HfApi().list_repo_commits("owner/scans", repo_type="dataset")
    assert commits[0].title == "Scans of May"


def test_a_revision_of_a_source_on_the_hub_is_read(hub, tmp_path, capsys):
    plain_dataset(3).push_to_hub("owner/plain")
    HfApi().create_branch("owner/plain", repo_type="dataset", branch="old")
    plain_dataset(5).push_to_hub("owner/plain")
    command = ["encrypt", "owner/plain", "--image-size", "32", "--patch-size", "8"]
    for revision, rows in (("old", 3), ("main", 5)):
        out = ["--output-dir", str(tmp_path / revision), "--revision", revision]
        assert main([*command, *out]) == 0
        assert f"{rows} rows found: {rows} written" in capsys.readouterr().out
    assert main([*command, "--output-dir", str(tmp_path / "out"), "--revision", "nowhere"]) == 2
    assert main([command[0], str(tmp_path), "--output-dir", str(tmp_path / "out"), "--revision", "old"]) == 2
    assert "--revision: got 'old', but SOURCE lies on this machine" in capsys.readouterr().err


def test_what_is_on_the_hub_is_decrypted_and_searched_for_leaks(hub, plain, tmp_path, capsys):
    assert main(["keygen", str(tmp_path / "a.key")]) == 0
    key = ["--key-file", str(tmp_path / "a.key")]
    assert push(plain, "owner/scans", *key) == 0
    assert main(["leaks", "owner/scans", *key]) == 0
    assert (
        main(["decrypt", "owner/scans", "--output-dir", str(tmp_path / "back"), "--format", "png", *key]) == 0
    )
    assert sorted(path.name for path in (tmp_path / "back").rglob("*.png")) == [
        f"{i:06d}.png" for i in range(3)
    ]
    assert main(["leaks", "owner/scans", "--revision", "nowhere"]) == 2
    assert "the repository has no such file or revision" in capsys.readouterr().err


# Faults


def test_a_hub_that_is_busy_for_a_moment_is_asked_again(hub, folder, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.faults.append(Fault("PUT", "/lfs/", status=503, times=2))
    push_encrypted_folder(folder, "owner/scans")
    assert len(load_dataset("owner/scans", split="train")) == 6
    assert sum(request.startswith("PUT /lfs/") for request in hub.requests) == 4


@pytest.mark.parametrize("where", [("PUT", "/lfs/"), ("POST", "/commit/")])
def test_a_push_that_broke_off_is_taken_up_again(hub, plain, tmp_path, monkeypatch, capsys, caplog, where):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.faults.append(Fault(*where, times=50))
    assert push(plain, "owner/scans") == 2
    error = capsys.readouterr().err
    assert "hipmr: error: the push to owner/scans" in error
    # One place where the result lies, and the command that goes on.
    assert f"The result is whole, and lies in {tmp_path / 'out'}; the same command" in caplog.text
    assert ".out.unfinished" not in caplog.text + error
    assert "README.md" not in hub.files("datasets", "owner/scans")  # nothing of it is to be seen
    before = (tmp_path / "out" / "data" / "train-00000-of-00001.parquet").read_bytes()
    hub.faults.clear()
    (tmp_path / "out.account.json").unlink()  # it may be put away; nothing needs it
    assert push(plain, "owner/scans") == 0
    assert f"Published: {hub.url}/datasets/owner/scans/commit/" in capsys.readouterr().out
    files = hub.files("datasets", "owner/scans")
    assert files["data/train-00000-of-00001.parquet"] == before
    assert {"README.md", "encryption_config.json"} <= files.keys()
    assert not list(tmp_path.glob(".out*")) and len(load_dataset("owner/scans", split="train")) == 3
    assert not any(CANARY.encode() in content for content in files.values())


def test_a_dataset_of_the_hub_is_encrypted_without_a_plain_copy(hub, tmp_path):
    plain_dataset().push_to_hub("owner/plain", private=True)
    command = ["encrypt", "owner/plain", "--output-dir", str(tmp_path / "out"), "--image-size", "32"]
    assert main([*command, "--patch-size", "8"]) == 0
    assert len(load_dataset(str(tmp_path / "out"), split="train")) == 6
    shard = hub.files("datasets", "owner/plain")["data/train-00000-of-00001.parquet"]
    home = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert not any(shard[100:164] in path.read_bytes() for path in home)


# Trainer


def test_trainer_pushes_the_checkpoint_and_nothing_of_the_machine(hub, tmp_path, monkeypatch, caplog):
    encrypted = encrypt_dataset(digits(), SHUFFLING)
    folder = save_encrypted_dataset(encrypted, SHUFFLING, tmp_path / CANARY)
    push_encrypted_folder(folder, "owner/digits")
    output_dir = tmp_path / f"{CANARY}_out"
    arguments = ["--dataset_name", "owner/digits", "--output_dir", str(output_dir), "--do_train", "--do_eval"]
    arguments += ["--max_steps", "2", "--save_steps", "1", "--use_cpu", "--report_to", "none", *TINY_MODEL]
    arguments += ["--push_to_hub", "--hub_model_id", "owner/pevit", "--hub_token", "hf_owner"]
    arguments += ["--hub_strategy", "checkpoint", "--disable_tqdm", "true"]
    monkeypatch.setattr("sys.argv", ["run_image_classification.py", *arguments])
    with caplog.at_level(logging.ERROR):
        runpy.run_path(str(EXAMPLES / "run_image_classification.py"), run_name="__main__")
    files = hub.files("models", "owner/pevit")
    wanted = {"config.json", "model.safetensors", "preprocessor_config.json", "encryption_config.json"}
    assert wanted <= files.keys() and "modeling_pevit.py" in files
    assert not [name for name in files if name.endswith(("training_args.bin", ".pt", ".pth"))], list(files)
    for name, content in files.items():
        assert CANARY.encode() not in content and b"hf_owner" not in content, name
    huggingface_hub.snapshot_download("owner/pevit", local_dir=tmp_path / "snapshot")
    assert find_leaks(tmp_path / "snapshot").leaks == ()
    loaded = AutoModelForImageClassification.from_pretrained("owner/pevit")
    assert type(loaded) is PEViTForImageClassification
    assert json.loads(files["encryption_config.json"])["strategy"] == "rs"
