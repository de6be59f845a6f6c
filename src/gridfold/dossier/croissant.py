"""Croissant metadata of a study's data: what they are, for programs that look for data.

Croissant: Akhtar et al. (2024), Croissant: A metadata format for ML-ready datasets,
<https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html>.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gridfold.data.description import ColumnDescription
from gridfold.dossier.facts import RunFacts
from gridfold.paths import array_file
from gridfold.usercode.marks import file_digest
from gridfold.wording import counted

# As the specification gives it.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_ARRAYS = {
    "features": "Features of all samples before scaling; of windows, each of their rows once",
    "targets": "Class codes, or numbers to predict",
    "groups": "Group of each sample",
    "weights": "How much each sample counts in training",
    "ids": "Name of each sample",
    "starts": "Row of the features with which each window begins; empty where samples are none",
}
_FORMATS = {"csv": "text/csv", "parquet": "application/x-parquet"}
_TYPES = {"number": "sc:Float", "date": "sc:Date"}
# Nobody wants to wait for the digest of a larger file.
_MOST_BYTES = 20 * 10**9


def croissant(facts: RunFacts) -> dict[str, Any]:
    """Return the metadata of the data of a run, as JSON-LD.

    The prepared arrays are named with their checksums. Of a table in a CSV or Parquet file, which
    lies where the study says, also the file and its columns are.

    Parameters
    ----------
    facts : RunFacts
    """
    described, manifest = facts.data, facts.results.manifest
    summary = described.samples.summary if described.samples else described.made_of
    table = list(_table_file(facts))
    found: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": _identifier(facts.name),
        "description": f"The data of the study {facts.name}: {described.source}, {summary}.",
        "version": "1.0.0",
        "datePublished": facts.results.answer.card.created[:10],
        "identifier": f"sha256:{manifest.digest}",
        "distribution": [*_arrays(facts), *table],
    }
    records = [
        *([_rows(facts, table[0]["@id"])] if table and described.columns else []),
        *([_classes(manifest.class_names)] if manifest.class_names else []),
    ]
    return found | ({"recordSet": records} if records else {})


def croissant_text(facts: RunFacts) -> str:
    """Return the metadata as they are written to their file."""
    return json.dumps(croissant(facts), indent=1, ensure_ascii=False) + "\n"


def _identifier(text: str) -> str:
    return re.sub(r"[^\w-]+", "-", text).strip("-") or "data"


def _arrays(facts: RunFacts) -> Iterator[dict[str, Any]]:
    data = facts.root / "data"
    for name, meaning in _ARRAYS.items():
        file = array_file(data, name)
        if not file.exists() or file.stat().st_size > _MOST_BYTES:
            continue
        yield {
            "@type": "cr:FileObject",
            "@id": f"data/{file.name}",
            "name": _identifier(name),
            "description": meaning,
            "contentUrl": f"data/{file.name}",
            "contentSize": f"{file.stat().st_size} B",
            "encodingFormat": "application/x-npy",
            "sha256": file_digest(file),
        }


def _table_file(facts: RunFacts) -> Iterator[dict[str, Any]]:
    data = facts.request.study["data"]
    if data["source"] not in _FORMATS:
        return
    file = Path(data["path"])
    if not file.is_file() or file.stat().st_size > _MOST_BYTES:
        return
    yield {
        "@type": "cr:FileObject",
        "@id": "source",
        "name": _identifier(file.name),
        "description": f"The table as the study reads it, {counted(facts.data.rows, 'row')}",
        "contentUrl": str(file),
        "contentSize": f"{file.stat().st_size} B",
        "encodingFormat": _FORMATS[data["source"]],
        "sha256": file_digest(file),
    }


def _rows(facts: RunFacts, file: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "rows",
        "name": "rows",
        "description": "The rows of the table.",
        "field": [_field(place, column, file) for place, column in enumerate(facts.data.columns)],
    }


def _field(place: int, column: ColumnDescription, file: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        # Names of columns may be anything; these are unique.
        "@id": f"rows/{place}-{_identifier(column.name)}",
        "name": f"{place}-{_identifier(column.name)}",
        "description": f"{column.name}: {', '.join(column.roles)}, {column.kind}, {column.summary}",
        "dataType": _TYPES.get(column.kind, "sc:Text"),
        "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
    }


def _classes(names: list[str]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "The classes, in the order of their codes.",
        "key": {"@id": "classes/name"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": "classes/name",
                "name": "name",
                "description": "Name of the class.",
                "dataType": "sc:Text",
            }
        ],
        "data": [{"classes/name": name} for name in names],
    }
