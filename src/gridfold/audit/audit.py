"""Looks at the prepared data and the splits of a study with all checks."""

from __future__ import annotations

import warnings

from gridfold.audit import columns, duplicates, neighbours, order, parts
from gridfold.audit.finding import SEVERITIES, Audit
from gridfold.audit.material import Material
from gridfold.codes import AUDIT_CODES


def audit(material: Material) -> Audit:
    """Return all findings about a prepared study, the worst first."""
    found = []
    with warnings.catch_warnings():
        # Of columns without any value, and of trees without samples out of bag.
        warnings.simplefilter("ignore")
        for module in (duplicates, neighbours, parts, order, columns):
            found += module.check(material)
    found.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.code))
    return Audit(tuple(found), _checked(material), len(material.dataset.features))


def _checked(material: Material) -> tuple[str, ...]:
    """Return the codes of what data and splits like these are looked at for."""
    left_out: set[str] = set()
    if not material.is_table:
        left_out |= {"GF108", "GF109", "GF110", "GF112", "GF117"}
    if not material.is_classification:
        left_out |= {"GF113", "GF116"}
    left_out |= {"GF102", "GF107"} if material.is_ordered else {"GF111"}
    if not material.has_groups:
        left_out.add("GF104")
    if material.dataset.spans is None:
        left_out.add("GF106")
    if not len(material.test):
        left_out.add("GF115")
    return tuple(code for code in AUDIT_CODES if code not in left_out)
