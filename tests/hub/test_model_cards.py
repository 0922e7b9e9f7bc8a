"""Each card in model_cards/ tells the figures of the run that its results file holds."""

import json
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from hipmr_hf import Encryption
from hipmr_hf.hub.limits import what_is_not_protected

CARDS = Path(__file__).resolve().parents[2] / "model_cards"


def load(name: str) -> tuple[ModelCard, dict[str, float], dict]:
    card = ModelCard.load(CARDS / f"{name}.md")
    told = {result.metric_name: result.metric_value for result in card.data.eval_results}
    return card, told, json.loads((CARDS / f"{name}.json").read_text())


def test_the_classifiers_card_matches_its_results():
    card, told, results = load("pevit-digits-rs")
    assert told == {
        "accuracy": results["pevit"]["eval_accuracy"],
        "top_5_accuracy": results["pevit"]["eval_top_5_accuracy"],
    }
    assert f"| {results['plain_vit']['eval_accuracy']:.3g}".rstrip("0") in card.text


def test_the_detectors_card_matches_its_results():
    _, told, results = load("peyolos-digit-scenes-mi")
    assert {"map", "map_50"} <= told.keys()
    assert told == {name: results["peyolos"][f"eval_{name}"] for name in told}


@pytest.mark.parametrize("card_file", sorted(CARDS.glob("*.md")), ids=lambda path: path.stem)
def test_every_card_has_results_and_tells_what_is_not_protected(card_file):
    text = ModelCard.load(card_file).text
    assert card_file.with_suffix(".json").exists() and "What this does not protect" in text
    assert text.strip().startswith(f"# {card_file.stem}")


@pytest.mark.parametrize("card_file", sorted(CARDS.glob("*.md")), ids=lambda path: path.stem)
def test_every_card_says_today_what_its_settings_do_not_protect(card_file):
    text = ModelCard.load(card_file).text
    settings = {
        name: None if value == "None" else yaml.safe_load(value)
        for name, value in re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    }
    for sentence in what_is_not_protected(Encryption.from_dict({"format_version": 1, **settings})):
        assert f"- {sentence}\n" in text
