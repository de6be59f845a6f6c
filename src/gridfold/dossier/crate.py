"""A run as a crate: ``ro-crate-metadata.json``, which archives and other programs can read.

The profile is Workflow Run RO-Crate 0.5 (Leo et al., 2024, Recording provenance of workflow runs
with RO-Crate, PLOS ONE 19 (9), e0309210) on RO-Crate 1.1. The crate is the folder of the study as
it lies there; nothing is copied but the workflow.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gridfold.canonical import canonical_json
from gridfold.dossier.facts import RunFacts
from gridfold.usercode.marks import file_digest
from gridfold.wording import measure_name

_WORKFLOW_PROFILE = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_PARAMETER_PROFILE = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
# What Python's table of types does not know.
_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".npz": "application/zip",
    ".npy": "application/x-npy",
    ".keras": "application/zip",
    ".md": "text/markdown",
    ".smk": "text/x-python",
    "": "text/x-python",
}
_MEANINGS = {
    "report.html": "The report",
    "README.md": "What lies where, and how it is made again",
    "run.json": "The study as the run was asked for it",
    "final/model.keras": "The final model",
    "final/card.json": "The model card, for programs",
    "final/card.md": "The model card",
    "tables/best.json": "The selected configuration",
    "audit.json": "What the audit has found about data and splits",
    "splits.npz": "The splits and the held-out test set",
    "croissant.json": "Croissant metadata of the data",
    "checklists/reforms.md": "The REFORMS checklist, filled in",
    "checklists/neurips.md": "The NeurIPS paper checklist, filled in",
}
_MAIN = "workflow/Snakefile"
_STUDY = "run.json"
_DATA = "croissant.json"


def crate_text(facts: RunFacts) -> str:
    """Return the metadata of the crate as they are written to their file.

    Parameters
    ----------
    facts : RunFacts
        Its files, which must be there, are those of the crate.
    """
    # Imported where it is needed: it brings an HTTP client.
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    card = facts.results.answer.card
    crate = ROCrate(version="1.1")
    root = crate.root_dataset
    crate.name = f"Run of the study {facts.title}"
    crate.description = (
        f"A hyperparameter study with gridfold: {facts.results.answer.best.configurations:,} "
        f"configurations on {facts.results.answer.best.n_splits:,} splits, ranked by "
        f"{measure_name(facts.results.answer.best.measure)}; with tables, figures, report and the "
        "final model."
    )
    # The same run gives the same crate.
    crate.datePublished = card.created

    def add(where: str, kind: str, **properties: Any) -> Any:
        entity = crate.add(ContextEntity(crate, where, {"@type": kind}))
        for key, value in properties.items():
            entity[key] = value
        return entity

    crate.license = add(
        "#licence",
        "CreativeWork",
        name="Not stated",
        description="The licence of data and results is to be stated by the authors.",
    )
    for identifier, (name, version) in _PROFILES.items():
        root.append_to("conformsTo", add(identifier, "CreativeWork", name=name, version=version))
    files = _add_files(crate, facts)
    used = {"python": card.environment.python, **card.environment.packages}
    software = [
        add(
            _page_of(name, version),
            "SoftwareApplication",
            name=name,
            softwareVersion=version,
            url={"@id": _page_of(name, version)},
        )
        for name, version in used.items()
    ]
    main = files[_MAIN]
    main["name"] = "gridfold"
    main["version"] = card.environment.packages["gridfold"]
    main["conformsTo"] = {"@id": _WORKFLOW_PROFILE}
    main["hasPart"] = [files[name] for name in files if name.startswith("workflow/rules/")]
    main["softwareRequirements"] = software
    settings = [
        add(
            f"#setting-{name}",
            "PropertyValue",
            name=name,
            value=value if isinstance(value, str | int | float) else canonical_json(value),
        )
        for name, value in facts.request.study.items()
    ]
    given = [files[_STUDY], files[_DATA], *settings]
    made = [file for name, file in files.items() if not name.startswith("workflow/")]
    made = [file for file in made if file not in given]
    _add_parameters(add, main, settings, files)
    action = add(
        "#run",
        "CreateAction",
        name=f"Run of the study {facts.name}",
        description=facts.command,
        instrument=main,
        object=given,
        result=made,
        endTime=card.created,
        actionStatus="http://schema.org/CompletedActionStatus",
        **({"startTime": facts.started} if facts.started else {}),
    )
    root["mentions"] = action
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False) + "\n"


def _add_files(crate: Any, facts: RunFacts) -> dict[str, Any]:
    """Add the files of the run; what they are stands in the documentation of the tables."""
    snakemake = facts.results.answer.card.environment.packages.get("snakemake")
    found = {}
    for file in facts.files:
        path, name = facts.root / file, file.as_posix()
        properties: dict[str, Any] = {
            "name": _MEANINGS.get(name, name),
            "contentSize": str(path.stat().st_size),
            "encodingFormat": _type_of(file),
            "sha256": file_digest(path),
        }
        if name == "README.md":
            properties["about"] = {"@id": "./"}
        given = {"source": str(path), "dest_path": name, "properties": properties}
        if name == _MAIN:
            found[name] = crate.add_workflow(
                **given, main=True, lang="snakemake", lang_version=snakemake
            )
        else:
            found[name] = crate.add_file(**given)
    return found


def _page_of(name: str, version: str) -> str:
    """Return a page about a package, of Python's own index where it is there."""
    if name == "python":
        return f"https://docs.python.org/release/{version}/"
    return f"https://pypi.org/project/{name}/{version}/"


def _type_of(file: Path) -> str:
    known = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0]
    return known or "application/octet-stream"


def _add_parameters(add: Any, main: Any, settings: Iterable[Any], files: dict[str, Any]) -> None:
    """Declare what goes into the workflow and what comes out, each with its value in this run."""
    inputs = [("study", "File", files[_STUDY]), ("data", "File", files[_DATA])]
    inputs += [(entity["name"], "PropertyValue", entity) for entity in settings]
    outputs = [("report", files["report.html"]), ("model", files["final/model.keras"])]
    declared = {
        "input": inputs,
        "output": [(name, "File", entity) for name, entity in outputs],
    }
    for direction, parameters in declared.items():
        for name, kind, entity in parameters:
            parameter = add(
                f"#{direction}-{name}",
                "FormalParameter",
                conformsTo={"@id": _PARAMETER_PROFILE},
                name=name,
                additionalType=kind,
                workExample=entity,
            )
            entity["exampleOfWork"] = parameter
            main.append_to(direction, parameter)
