"""`Section` and its fields give all sections of a study file what they have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gridfold.canonical import canonical
from gridfold.problems import MEASURES, OWN_ENDINGS


class Section(BaseModel):
    """A closed, immutable section: unknown keys and silent type changes are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True
    )


def without_effect(default: Any = None, **kwargs: Any) -> Any:
    """Declare a field that can't change a result, so that it stays out of the configuration id."""
    return _field(default, {"affects_result": False}, kwargs)


def late_addition(default: Any = None, **kwargs: Any) -> Any:
    """Declare a field that counts in the configuration id only when it differs from its default.

    So a study keeps its ids, and what is trained, when gridfold learns a new setting.
    """
    return _field(default, {"late_addition": True}, kwargs)


def _field(default: Any, extra: dict[str, Any], kwargs: dict[str, Any]) -> Any:
    if "default_factory" not in kwargs:
        kwargs["default"] = default
    return Field(json_schema_extra=extra, **kwargs)


def is_late_addition(section: type[BaseModel], name: str) -> bool:
    """Tell whether field `name` of `section` is one of :func:`late_addition`."""
    extra = section.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and extra.get("late_addition") is True


def affects_result(section: type[BaseModel], name: str) -> bool:
    """Tell whether field `name` of `section` can change a result."""
    extra = section.model_fields[name].json_schema_extra
    return not (isinstance(extra, dict) and extra.get("affects_result") is False)


def _plain(value: Any) -> Any:
    try:
        canonical(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{error}; allowed: finite numbers, text, true, false, null, and lists of them"
        ) from None
    return value


# A value of any type that has a canonical form, and so a place in a configuration id.
PlainValue = Annotated[Any, AfterValidator(_plain)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
# What sizes a model, a training or a search is bounded: far above every real study, and below what
# would fill memory and disk before anybody can read why.
MOST_LAYERS = 10_000
MOST_UNITS = 10_000_000
MOST_EPOCHS = 1_000_000
MOST_FOLDS = 10_000
MOST_PROCESSES = 100_000
LayerCount = Annotated[int, Field(gt=0, le=MOST_LAYERS)]
UnitCount = Annotated[int, Field(gt=0, le=MOST_UNITS)]
PixelCount = Annotated[int, Field(gt=0, le=100_000)]
EpochCount = Annotated[int, Field(gt=0, le=MOST_EPOCHS)]
FoldCount = Annotated[int, Field(ge=2, le=MOST_FOLDS)]
BatchSize = Annotated[int, Field(gt=0, le=1_000_000_000)]
TrialCount = Annotated[int, Field(gt=0, le=1_000_000)]
ProcessCount = Annotated[int, Field(gt=0, le=MOST_PROCESSES)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
PythonReference = Annotated[str, Field(pattern=r"^[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*$")]
StudyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
# Measures are checked against the type of the problem later; editors get the names.
MeasureName = Annotated[str, Field(json_schema_extra={"enum": [*MEASURES]})]
_OWN_MEASURE = f"_({'|'.join(OWN_ENDINGS)})$"
OwnMeasureName = Annotated[str, Field(json_schema_extra={"pattern": _OWN_MEASURE})]
# What the patterns say, in words.
PATTERN_MEANINGS = {
    _OWN_MEASURE: "the name of a measure of your own",
    r"\.keras$": "a file `*.keras`",
    r"^[0-9]+:[0-9]+$": "`start:stop`",
    r"^[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*$": "`file.py:function`",
    r"^[a-z0-9][a-z0-9_-]{0,62}$": "lower-case letters, digits, `-` and `_`, at most 63 of them",
}
