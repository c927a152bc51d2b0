"""What the sections of params.yaml have in common, and the kinds of numbers in them."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Workers = Literal["auto"] | Annotated[int, Field(ge=0)]
Occluder = Literal["medical_mask", "sunglasses", "scarf", "hand", "veil"]
"""Those of faceline_core.occluders.KINDS."""
Limit = Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, le=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_values(cls, value: object, info: ValidationInfo) -> object:
        """true and false stand only where a field says so: pydantic would read them as 1 and 0 elsewhere."""
        if isinstance(value, bool) and not _takes_bool(cls.model_fields[str(info.field_name)].annotation):
            raise ValueError("should be a number or a word, not true or false")
        return value


def _takes_bool(annotation: Any) -> bool:
    return annotation is bool or any(_takes_bool(part) for part in get_args(annotation))
