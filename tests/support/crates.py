"""Crates are validated without a network: the context that they name comes from `rocrate`."""

from __future__ import annotations

import io
from importlib.resources import files
from pathlib import Path
from typing import Any

import mlcroissant
import requests
import urllib3
from requests_cache import CachedSession
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
# rocrate brings the context of 1.3, in which Bioschemas' terms have moved since 1.1.
MOVED = {
    b"bioschemas.org/terms/input": b"bioschemas.org/ComputationalWorkflow#input",
    b"bioschemas.org/terms/output": b"bioschemas.org/ComputationalWorkflow#output",
    b"bioschemas.org/terms/": b"bioschemas.org/",
}


class _FromPackage(requests.adapters.HTTPAdapter):
    """Answers with the context that the package `rocrate` brings."""

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        assert request.url == CONTEXT
        context = (files("rocrate") / "data" / "ro-crate.jsonld").read_bytes()
        for now, before in MOVED.items():
            context = context.replace(now, before)
        headers = {"Content-Type": "application/ld+json"}
        raw = urllib3.HTTPResponse(io.BytesIO(context), headers, 200, preload_content=False)
        return self.build_response(request, raw)


def complaints(crate: Path, cache: Path, *, recommended: bool = False) -> set[str]:
    """Return what `roc-validator` says against a crate, by the profile Workflow Run Crate.

    Parameters
    ----------
    crate : Path
        Its folder.
    cache : Path
        For what the validator would fetch from the web.
    recommended : bool
        Whether also what should be, and need not.
    """
    with CachedSession(str(cache), backend="sqlite") as session:
        session.mount(CONTEXT, _FromPackage())
        session.get(CONTEXT)
    severity = Severity.RECOMMENDED if recommended else Severity.REQUIRED
    result = services.validate(
        ValidationSettings(
            rocrate_uri=str(crate),
            profile_identifier="workflow-run-crate",
            requirement_severity=severity,
            offline=True,
            cache_path=str(cache),
        )
    )
    return {f"{issue.check.identifier} {issue.message}" for issue in result.get_issues()}


def records(croissant: Path, name: str) -> list[dict[str, Any]]:
    """Return the records of a set as `mlcroissant` reads them; errors of metadata are raised."""
    return list(mlcroissant.Dataset(jsonld=croissant).records(name))
