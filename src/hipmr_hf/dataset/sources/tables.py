"""Layouts in which a table names the pictures: metadata.csv, .jsonl or .parquet, or any CSV of paths."""

import io
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...column_types.features import Features
from ...errors import InputValueError
from .folders import list_folders, split_by_folder
from .listing import Listing, SourceOptions
from .tree import Tree, read_file

METADATA_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
# What a column of paths is called, in the order of preference.
PATH_COLUMNS = ("file_name", "file_path", "filename", "filepath", "image_path", "path", "file", "image")
_MAX_TABLE_BYTES = 2**31
_NOT_IN_TABLE = "not in the table"


def list_tables(
    tree: Tree, tables: Sequence[str], pictures: Sequence[str], options: SourceOptions, *, layout: str
) -> Listing:
    """Take the rows of tables for pictures and what belongs to them.

    Args:
        tree: where all lies.
        tables: names of the tables; each names pictures below its own folder.
        pictures: all that there are.
        options: `splits`, and `labels` if it is "folders", decide where they are given.
        layout: what to call it.

    Raises:
        InputValueError: a table without a column of paths, or that names files which are not there.
    """
    named: dict[str, dict[str, Any]] = {}
    schemas: list[pa.Schema] = []
    for table in tables:
        rows, schema = _rows(tree, table, options.image_column)
        schemas.append(schema)
        if set(schema.names) != set(schemas[0].names):
            raise InputValueError(f"SOURCE: {table} has other columns than {tables[0]}; give both the same.")
        for name, values in rows:
            if name in named:
                raise InputValueError(f"SOURCE: {table} names {name} a second time; keep one of the rows.")
            named[name] = values
    features = _features(schemas, tables)
    _check_all_there(named, set(tree.names), tables)
    if options.labels == "folders":
        told = list_folders(named, options)
        layout, features = f"{layout} in class folders", {**features, **told.features}
        rows = {
            split: [(name, {**named[name], **label}) for name, label in listed]
            for split, listed in told.rows.items()
        }
    else:
        splits = split_by_folder(sorted(named), options.splits)
        rows = {split: [(name, named[name]) for name in names] for split, (_, names) in splits.items()}
    left = {name: _NOT_IN_TABLE for name in pictures if name not in named}
    return Listing(layout, rows, features, {**left, **dict.fromkeys(tables, "a table that was read")})


def _features(schemas: Sequence[pa.Schema], tables: Sequence[str]) -> dict[str, Any]:
    """Return what all tables hold; one of whole numbers, or of empty lists, fits to others."""
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputValueError(
            f"SOURCE: {', '.join(tables)} have values of unlike kinds in one column ({str(error).strip()}); "
            "give all the same."
        ) from error
    return dict(Features.from_arrow_schema(schema))


def _rows(tree: Tree, name: str, image_column: str) -> tuple[list[tuple[str, dict[str, Any]]], pa.Schema]:
    table = read_table(tree, name)
    columns = table.column_names
    path_column = next((column for column in (*PATH_COLUMNS, image_column) if column in columns), None)
    if path_column is None:
        raise InputValueError(
            f"SOURCE: {name} has no column of paths; expected one of {', '.join(PATH_COLUMNS)} beside its "
            f"{', '.join(columns)}."
        )
    folder = PurePosixPath(name).parent
    places = [_place(folder, value, name) for value in table.column(path_column).to_pylist()]
    others = table.drop_columns([path_column, *({image_column} & set(columns) - {path_column})])
    return list(zip(places, others.to_pylist(), strict=True)), others.schema


def _place(folder: PurePosixPath, value: Any, table: str) -> str:
    """Return the name in the tree that a path of a table means; it cannot lead out of the tree."""
    path = PurePosixPath(str(value).replace("\\", "/"))
    if value is None or path.is_absolute() or ".." in path.parts or "://" in str(value):
        raise InputValueError(
            f"SOURCE: {table} names a file outside of its folder or none; give paths below {folder}/."
        )
    return (folder / path).as_posix()


def read_table(tree: Tree, name: str) -> pa.Table:
    """Read a table of a tree.

    Raises:
        InputValueError: it is damaged, or no table.
    """
    import pyarrow.csv
    import pyarrow.json

    content = io.BytesIO(read_file(tree, name, limit=_MAX_TABLE_BYTES))
    try:
        if name.endswith(".parquet"):
            return pq.read_table(content).replace_schema_metadata(None)
        if name.endswith((".jsonl", ".json")):
            return pyarrow.json.read_json(content)
        delimiter = "\t" if name.endswith(".tsv") else ","
        return pyarrow.csv.read_csv(
            content, parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        )
    except (pa.ArrowException, OSError) as error:
        raise InputValueError(f"SOURCE: {name} is no table ({str(error).strip()}); mend it.") from error


def _check_all_there(named: dict[str, Any], there: set[str], tables: Sequence[str]) -> None:
    if missing := [name for name in named if name not in there]:
        raise InputValueError(
            f"SOURCE: {', '.join(tables)} names {len(missing)} files that are not there, the first is "
            f"{missing[0]}; mend the table, or bring the files."
        )
