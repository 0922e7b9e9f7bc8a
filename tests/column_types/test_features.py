"""Our types of columns are those of `datasets`: equal, alike in text, and the same bytes in a file."""

import datasets
import pyarrow as pa
import pytest

from hipmr_hf.column_types.features import Features
from hipmr_hf.column_types.kinds import ClassLabel, Image, List, Value
from hipmr_hf.column_types.tables import table_of

D = datasets
DTYPES = (
    *("null", "bool", "int8", "int64", "uint8", "uint64", "float16", "float32", "float64", "string"),
    *("large_string", "binary", "large_binary", "date32", "date64", "time32[s]", "time64[us]"),
    *("timestamp[s]", "timestamp[us, tz=America/New_York]", "duration[ms]", "decimal128(10, 2)"),
    *("decimal256(30, 2)", "fixed_size_binary[16]", "string_view", "binary_view"),
)
COLUMNS = {
    **{dtype: D.Value(dtype) for dtype in DTYPES},
    "named": D.Value("int64", id="a name"),
    "classes": D.ClassLabel(names=["cat", "cat food", "Hund\u00e9"]),
    "numbers": D.ClassLabel(num_classes=3),
    "picture": D.Image(),
    "undecoded": D.Image(mode="RGB", decode=False),
    "lists": D.List(D.List(D.Value("float32"), length=4)),
    "large": D.LargeList(D.ClassLabel(names=["a"])),
    "objects": {"bbox": D.List(D.List(D.Value("float32"), length=4)), "inner": {"a": D.Value("int8")}},
    "array": D.Array2D((2, 2), "uint8"),
    "lists of arrays": D.List(D.Array3D((2, 2, 3), "uint8")),
    "translation": D.Translation(["de", "en"]),
    "old sequence": D.Sequence({"a": D.Value("int8")}),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_the_same_here_and_in_datasets(name):
    theirs = D.Features({name: COLUMNS[name]})
    ours = Features.from_datasets(theirs)
    assert ours == theirs and theirs == ours and repr(ours) == repr(theirs)
    assert ours.arrow_schema.equals(theirs.arrow_schema, check_metadata=True)
    assert Features.from_arrow_schema(theirs.arrow_schema) == theirs
    bare = theirs.arrow_schema.remove_metadata()
    assert Features.from_arrow_schema(bare) == D.Features.from_arrow_schema(bare)
    assert ours.to_datasets() == theirs


def test_types_of_other_fields_differ():
    assert Value("int8") != D.Value("int16") and List(Value("int8")) != D.List(D.Value("int8"), length=2)
    assert ClassLabel(["a"]) != D.ClassLabel(names=["b"]) and Value("int8") != 3 and Image() != {"a": 1}


def test_a_dictionary_is_what_it_holds_and_metadata_that_do_not_fit_are_passed_over():
    stored = pa.schema({"a": pa.dictionary(pa.int32(), pa.string()), "b": pa.int64()})
    described = D.Features({"a": D.Value("string"), "b": D.Value("string")}).arrow_schema.metadata
    for schema in (stored, stored.with_metadata(described)):
        assert Features.from_arrow_schema(schema) == D.Features.from_arrow_schema(schema)


@pytest.mark.parametrize(
    "described",
    [
        b"{",
        b'{"info": {"features": {"a": {"_type": "Nothing"}}}}',
        b'{"info": {"features": {"a": {"_type": "Value"}}}}',
        b'{"info": {"features": {"a": {"names": ["b", "b"], "_type": "ClassLabel"}}}}',
        b'{"info": {"features": {"a": {"dtype": "no type", "_type": "Value"}}}}',
        b'{"info": {"features": {"a": 3}}}',
    ],
)
def test_damaged_descriptions_are_refused_as_there(described):
    schema = pa.schema({"a": pa.int64()}, {b"huggingface": described})
    refused = (ValueError, TypeError, KeyError, AttributeError)
    for read in (D.Features.from_arrow_schema, Features.from_arrow_schema):
        with pytest.raises(refused):
            read(schema)


VALUES = [
    (Image(), [{"bytes": b"PNG", "path": None}, {"bytes": b"", "path": None}]),
    (Image(), [{"bytes": b"PNG", "path": "a.png"}, None, {"bytes": None, "path": None}]),
    (ClassLabel(["a", "b"]), [1, 0, 1]),
    (ClassLabel(["a", "b"]), [1, None]),
    (Value("uint8"), [255, 0]),
    (Value("float32"), [0.1, float("inf"), -0.0]),
    (Value("float32"), [1, 2.5, None]),
    (Value("string"), ["Hund\u00e9", "", "a\0b"]),
    (Value("string"), ["a", None]),
    (Value("binary"), [b"a", b""]),
    (Value("binary"), [None, b""]),
    (Value("bool"), [True, False]),
    (List(List(Value("float32"), length=4)), [[[1.0, 2.0, 3.0, 4.0]], []]),
    ({"bbox": List(Value("int8"))}, [{"bbox": [1]}, {"bbox": []}]),
    (Value("int64"), []),
]


@pytest.mark.parametrize(("kind", "values"), VALUES)
def test_a_table_is_the_one_that_arrow_makes(kind, values):
    features = Features({"a": kind})
    expected = pa.Table.from_pydict({"a": values}, schema=features.arrow_schema)
    found = table_of({"a": values}, features)
    found.validate(full=True)
    assert found.equals(expected, check_metadata=True)


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises((OverflowError, pa.ArrowInvalid)):
        table_of({"a": [256]}, Features({"a": Value("uint8")}))
