"""The table of a study: its file, and the role of each column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gridfold.csvfiles.format import Format
from gridfold.data.description import Role
from gridfold.data.sources import tablefile
from gridfold.errors import DataError
from gridfold.wording import counted

# Roles of a single column, by their key in the `data` section.
SINGLE_ROLES: tuple[Role, ...] = ("groups", "weight", "id", "time")


@dataclass(frozen=True)
class StudyTable:
    """A table that was read for a study.

    Attributes
    ----------
    data : mapping
        The ``data`` section, of source ``csv`` or ``parquet``.
    read : TableFile
        The file, or its first rows, with all columns that the section names.
    classes : bool
        Whether targets are classes.
    """

    data: Mapping[str, Any]
    read: tablefile.TableFile
    classes: bool

    @classmethod
    def of(cls, data: Mapping[str, Any], *, classes: bool, first: bool = False) -> StudyTable:
        """Read the file of a ``data`` section, or its first rows.

        Raises
        ------
        DataError
            When it is no table, or columns are missing; says what to change.
        """
        listed = [] if data["categories"] == "auto" else data["categories"]
        single = {str(role): [data[role]] for role in SINGLE_ROLES if data[role]}
        named = {
            "targets": data["targets"],
            "features": data["features"] or [],
            "categories": listed,
            "ignore": data["ignore"],
            **single,
        }
        read = tablefile.read(
            data["path"],
            data["source"],
            Format.of(data),
            texts={*listed, *(data["targets"] if classes else ()), *single.get("groups", ())},
            names=single.get("id", ()),
            asked={name for names in named.values() for name in names},
            first=first,
        )
        require_columns(data["path"], read.frame, named)
        return cls(data, read, classes)

    @property
    def frame(self) -> Any:
        """The columns, a pandas.DataFrame."""
        return self.read.frame

    @property
    def single_roles(self) -> dict[Role, str]:
        """The columns of roles that one column has."""
        return {role: self.data[role] for role in SINGLE_ROLES if self.data[role]}

    @cached_property
    def roles(self) -> dict[str, tuple[Role, ...]]:
        """The roles of each column, in the order of the file."""
        data, single = self.data, self.single_roles
        others = {*single.values(), *data["ignore"], *(() if data["sequence"] else data["targets"])}
        roles: dict[str, tuple[Role, ...]] = {}
        for name in map(str, self.frame.columns):
            own: list[Role] = []
            if name in data["features"] if data["features"] else name not in others:
                own.append("feature")
            if name in data["targets"]:
                own.append("target")
            own += [role for role, column in single.items() if column == name]
            roles[name] = tuple(own) or ("ignored",)
        return roles

    @cached_property
    def features(self) -> list[str]:
        """The feature columns, in the order in which they were asked for or else of the file."""
        listed: list[str] | None = self.data["features"]
        return listed or [name for name, own in self.roles.items() if "feature" in own]

    @property
    def guessed(self) -> list[str]:
        """The features that nobody has listed and that are read as numbers."""
        if self.data["features"] is not None:
            return []
        return [name for name in self.features if self.frame[name].dtype != "str"]

    @property
    def categories(self) -> set[str]:
        """The columns that hold categories, classes or groups."""
        from pandas.api import types

        found = {*filter(None, [self.data["groups"]])}
        found |= {*(self.data["targets"] if self.classes else ())}
        if self.data["categories"] != "auto":
            return found | {*self.data["categories"]}
        return found | {n for n in self.features if not types.is_numeric_dtype(self.frame[n])}

    @property
    def left_out(self) -> list[str]:
        """What is not read, and which columns have no role, in words."""
        names = [name for name, own in self.roles.items() if own == ("ignored",)]
        if not names:
            return [*self.read.head.left_out]
        reason = "data.ignore" if self.data["ignore"] else "not in data.features"
        without_role = f"{counted(len(names), 'column')} ({reason}): {', '.join(names)}"
        return [*self.read.head.left_out, without_role]


def require_columns(path: str, table: Any, named: Mapping[str, list[str]]) -> None:
    """Refuse columns that a table doesn't have.

    Parameters
    ----------
    path : str
    table : pandas.DataFrame
    named : mapping of str to list of str
        The columns of each key of the ``data`` section.
    """
    complaints = []
    for role, names in named.items():
        absent = [name for name in names if name not in table.columns]
        if absent:
            complaints.append(f"{path}: no column {', '.join(absent)} (data.{role})")
    if complaints:
        complaints[-1] += f"; it has {', '.join(map(str, table.columns))}"
        raise DataError("\n".join(complaints))
