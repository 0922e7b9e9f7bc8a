"""Each card in model_cards/ tells the figures of the run that its results file holds."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

CARDS = Path(__file__).resolve().parent.parent / "model_cards"


@pytest.mark.parametrize("card_file", sorted(CARDS.glob("*.md")), ids=lambda path: path.stem)
def test_a_card_matches_its_results(card_file):
    results = json.loads(card_file.with_suffix(".json").read_text())
    card = ModelCard.load(card_file)
    told = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert told == {
        "accuracy": results["pevit"]["eval_accuracy"],
        "top_5_accuracy": results["pevit"]["eval_top_5_accuracy"],
    }
    assert f"| {results['plain_vit']['eval_accuracy']:.3g}".rstrip("0") in card.text
    assert "What this does not protect" in card.text


def test_there_is_a_card():
    assert list(CARDS.glob("*.md"))
