import json

from transformers import HfArgumentParser

SCRIPT = "owner/run_privacy_audit.py"


def test_three_settings_are_audited(example, tmp_path, capsys):
    module = example(SCRIPT)
    arguments = ["--image_size", "112", "--patch_size", "28", "--num_images", "2"]
    arguments += ["--output_dir", str(tmp_path / "audit")]

    module.main(HfArgumentParser(module.Arguments).parse_args_into_dataclasses(arguments)[0])

    report = json.loads((tmp_path / "audit" / "report.json").read_text())
    assert report["valid"] and len(report["settings"]) == 3
    assert report["settings"][0]["grade"]["letter"] == "F"
    assert capsys.readouterr().out.count("\n") == 4


def test_a_parquet_file_is_audited(example, tmp_path, folders):
    module = example(SCRIPT)
    source = folders["plain"] / "data" / "train-00000-of-00001.parquet"
    arguments = ["--image_size", "32", "--patch_size", "8", "--num_images", "2", "--max_samples", "12"]
    arguments += ["--dataset_name", str(source), "--output_dir", str(tmp_path / "audit")]

    module.main(HfArgumentParser(module.Arguments).parse_args_into_dataclasses(arguments)[0])

    report = json.loads((tmp_path / "audit" / "report.json").read_text())
    # Handwritten digits at 32 pixels are nearly empty: whether the controls hold, the report must say.
    assert report["sample"]["available"] == 12 and report["valid"] in (True, False)
