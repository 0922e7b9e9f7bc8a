import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hipmr_hf.errors import InputValueError
from hipmr_hf.training.labels import as_classes, as_object_classes


def split(values: list, feature=None) -> Dataset:
    features = None if feature is None else Features({"image": Value("int64"), "grade": feature})
    return Dataset.from_dict({"image": list(range(len(values))), "grade": values}, features=features)


@pytest.mark.parametrize(
    ("train", "test", "names"),
    [
        (["b", "c", "b"], ["a"], ["a", "b", "c"]),
        ([True, False], [False], ["False", "True"]),
        ([3, 1, 3], [2], ["1", "2", "3"]),
    ],
)
def test_text_numbers_and_bools_become_classes_that_are_the_same_in_all_splits(train, test, names):
    found = as_classes([split(train), split(test)], "grade")
    for rows, values in zip(found, (train, test), strict=True):
        assert rows.features["grade"] == ClassLabel(names=names)
        assert [names[label] for label in rows["grade"]] == list(map(str, values))
        assert rows["image"][:] == list(range(len(values)))


def test_classes_stay_as_they_are():
    rows = split([1, 0], ClassLabel(names=["dog", "cat"]))
    assert as_classes([rows], "grade") == [rows]


@pytest.mark.parametrize(
    ("values", "feature"),
    [
        ([0.5, 1.5], Value("float32")),
        ([[0, 1], [1]], List(Value("int64"))),
        ([{"a": 1}], {"a": Value("int8")}),
    ],
)
def test_labels_that_are_no_classes_are_one_line_that_names_the_remedy(values, feature):
    with pytest.raises(InputValueError, match=r"'grade' is of type .*hipmr encrypt --labels COLUMN") as error:
        as_classes([split(values, feature)], "grade")
    assert "\n" not in str(error.value)


def test_a_column_that_is_not_there_is_told():
    with pytest.raises(InputValueError, match=r"'label' is not there, .*columns are \['image', 'grade'\]"):
        as_classes([split(["a"])], "label")


@pytest.mark.parametrize(
    ("values", "feature"), [(["a", None], Value("string")), ([0, -1], ClassLabel(names=["a", "b"]))]
)
def test_rows_without_a_class_are_counted(values, feature):
    with pytest.raises(InputValueError, match="1 of 2 rows have no class in 'grade'"):
        as_classes([split(values, feature)], "grade")


def objects(categories: list, feature) -> Dataset:
    rows = [{"bbox": [[0.0, 0.0, 4.0, 4.0]] * len(each), "category": each} for each in categories]
    kinds = {"bbox": List(List(Value("float32"), length=4)), "category": List(feature)}
    features = Features({"image": Value("int64"), "objects": kinds})
    return Dataset.from_dict({"image": list(range(len(rows))), "objects": rows}, features=features)


def test_categories_of_objects_become_classes_that_are_the_same_in_all_splits():
    found = as_object_classes([objects([["b"], []], Value("string")), objects([["c", "a"]], Value("string"))])
    assert [rows.features["objects"]["category"].feature.names for rows in found] == [["a", "b", "c"]] * 2
    assert [[row["objects"]["category"] for row in rows] for rows in found] == [[[1], []], [[2, 0]]]
    assert found[0][0]["objects"]["bbox"] == [[0.0, 0.0, 4.0, 4.0]]


def test_categories_that_are_classes_or_none_stay_as_they_are():
    for rows in (
        objects([[1]], ClassLabel(names=["b", "a"])),
        objects([[0.5]], Value("float32")),
        split([1]),
    ):
        assert as_object_classes([rows]) == [rows]


def test_objects_without_a_category_are_counted():
    with pytest.raises(InputValueError, match="1 of 2 objects have no category"):
        as_object_classes([objects([["a", None]], Value("string"))])
