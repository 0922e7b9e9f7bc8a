"""Names from elsewhere go into cards: whatever they are, a card stays a card, and our part is found again."""

import ast
import re

import pytest
import yaml
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.hub import escaping
from hipmr_hf.hub.audit_section import HEADING, NEXT_HEADING, AuditRow
from hipmr_hf.hub.card_renewal import BEGIN, END, merge_card, with_audit
from hipmr_hf.hub.cards import DatasetFacts, ModelFacts, dataset_card, model_card

markdown_it = pytest.importorskip("markdown_it", reason="needs a reader of Markdown")

SHUFFLING = RandomShuffling(image_size=64, patch_size=8, interval=2)
PARTS = [
    *("a", "b c", "`", "```", "````\n", "|", "\n", "\r\n", "\n\n", "\u2028", "\x85", "\x00", "\\", '"', "'"),
    *(
        "---",
        "\n---\n",
        "{{ 7 * 7 }}",
        "{% for x in y %}",
        "#",
        "\n# Planted\n",
        "<b>",
        "&lt;",
        "-->",
        "<!--",
    ),
    *(
        f"\n{BEGIN}\n",
        f"\n{END}\n",
        END,
        f"\n{NEXT_HEADING}\n",
        f"\n{HEADING}\n",
        "[x](http://planted.example)",
    ),
    *(
        '")\nimport os\nos.system("planted")\n("',
        "![x](http://planted.example/p.png)",
        "*",
        "_",
        "~",
        "]",
        "(",
    ),
    *(
        "\n```\nplanted\n```\n",
        "key_id: 0123456789abcdef",
        "\nkey_id: 0123456789abcdef",
        "é",
        "😀",
        "$(planted)",
    ),
]
# Parsing cards is slow, and so is looking for the smallest name that breaks one.
HOSTILE = settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
NAMES = (
    st.lists(st.sampled_from(PARTS) | st.text(max_size=4), min_size=1, max_size=5).map("".join).filter(bool)
)


def dataset(name: str) -> str:
    """A card with the name wherever a stranger's word can come to stand."""
    audit = (AuditRow(name, name, name),)
    facts = DatasetFacts(f"me/{name}", SHUFFLING, {name: 3}, {name: name, "label": name}, audit=audit)
    return str(dataset_card(facts))


def model(name: str) -> str:
    facts = ModelFacts(
        f"me/{name}",
        SHUFFLING,
        metrics={f"accuracy {name}": 0.5},
        baselines={name: {f"accuracy {name}": 0.25}},
        dataset_name=f"me/{name}",
        evaluated_on=name,
        training_command=f"train.py --dataset_name {name}",
        base_model=f"me/{name}",
        audit=(AuditRow(name, name, name),),
    )
    return str(model_card(facts))


def body(card: str) -> str:
    return card.split("\n---\n", 1)[1]


def outline(card: str) -> list:
    """What a reader of Markdown makes of a card, without the words: headings, tables, code, links, HTML."""
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(body(card))
    found = []
    for token in tokens:
        told = token.content if token.type == "html_block" else token.info
        found.append((token.type, token.tag, told))
        inner = [(c.type, str(c.attrGet("href"))[:14]) for c in token.children or [] if c.type != "text"]
        found.append([child for child in inner if child[0] not in ("softbreak", "em_open", "em_close")])
    return found


def blocks(card: str, language: str) -> list[str]:
    tokens = markdown_it.MarkdownIt("commonmark").parse(body(card))
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


@example("__")
@HOSTILE
@given(NAMES)
def test_a_card_with_any_name_has_the_outline_of_one_with_a_simple_name(name):
    assert outline(dataset(name)) == outline(dataset("x"))
    assert outline(model(name)) == outline(model("x"))


@HOSTILE
@given(NAMES)
def test_the_python_of_a_card_says_what_it_said_and_nothing_more(name):
    for card, simple in ((dataset(name), dataset("x")), (model(name), model("x"))):
        (shown,), (expected,) = blocks(card, "python"), blocks(simple, "python")
        told, parsed = ast.parse(expected), ast.parse(shown)
        for node in ast.walk(told):
            if isinstance(node, ast.Constant) and node.value == "me/x":
                node.value = f"me/{name}"
        assert ast.dump(parsed) == ast.dump(told)


@HOSTILE
@given(NAMES)
def test_our_part_is_found_again_and_renewed_as_a_whole(name):
    for render in (dataset, model):
        card = render(name)
        assert [line for line in card.splitlines() if line in (BEGIN, END)] == [BEGIN, END]
        simple = render("x")
        edited = card + "\nTheir own words.\n"
        renewed = merge_card(edited, simple)
        assert BEGIN + simple.split(BEGIN)[1].split(END)[0] + END in renewed
        assert renewed.endswith(f"\n{END}\n\nTheir own words.\n") or renewed.endswith("Their own words.\n")
        assert "planted" not in renewed.split(BEGIN)[1]
        again = merge_card(simple, card)
        assert merge_card(again, card) == again


@HOSTILE
@given(NAMES)
def test_an_audit_is_put_in_its_place_and_replaced_whole(name):
    card = dataset(name)
    once = with_audit(card, [AuditRow(name, ".5", ".1")], f"Grade F. {name}")
    twice = with_audit(once, [AuditRow("looking", ".5", ".1")], "Grade E.")
    lines = twice.splitlines()
    assert (lines.count(HEADING), lines.count(NEXT_HEADING)) == (1, 1)
    assert lines.index(HEADING) < lines.index(NEXT_HEADING)
    assert twice.count("Grade E.") == 1 and "Grade F." not in twice
    assert twice.split(f"\n{NEXT_HEADING}\n")[-1] == card.split(f"\n{NEXT_HEADING}\n")[-1]


@HOSTILE
@given(NAMES)
def test_nobody_plants_metadata(name):
    told = yaml.safe_load(dataset(name).split("---\n", 1)[1].split("\n---\n")[0])
    (config,) = told["configs"]
    assert [set(files) for files in config["data_files"]] == [{"split", "path"}]
    assert set(told) == {"size_categories", "tags", "configs", "encryption", "task_categories"}
    assert "key_id" not in told["encryption"]


@given(NAMES)
def test_names_are_shown_as_they_are_where_nothing_must_be_broken(name):
    shown = escaping.code(name)
    ((_, span),) = [
        (token.type, token.content)
        for token in markdown_it.MarkdownIt("commonmark").parseInline(f"a {shown} b")[0].children
        if token.type != "text"
    ]
    kept = re.sub(r"\s+", "", escaping.without_comments(escaping.one_line(name)))
    assert re.sub(r"\s+", "", span) == kept
    assert ast.literal_eval(escaping.python_string(name)) == name


@pytest.mark.parametrize("name", ["label", "patient_age", "objects.bbox", "me/scans-2", "top 5"])
def test_usual_names_stay_as_they_are(name):
    assert escaping.text(name) == name
    assert escaping.code(name) == f"`{name}`" and escaping.python_string(name) == f'"{name}"'


def test_a_card_of_another_encryption_takes_its_place():
    mixed = str(dataset_card(DatasetFacts("me/x", MixingUp(), {"train": 3})))
    assert "Mixing-up" in merge_card(dataset("a`|\n" + END), mixed)
