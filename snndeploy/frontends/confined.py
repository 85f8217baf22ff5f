"""Read models in the reading process; what comes back is plain data, and is checked once more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from snndeploy.frontends.content import content_of, model_of
from snndeploy.ir.arrays import AnyArray
from snndeploy.model import Model
from snndeploy.reading.confined import read_plain
from snndeploy.reading.transport import give_arrays, take_arrays


def read_model(reader: str, path: Path, options: dict[str, Any]) -> Model:
    """Read a model file where it can do no harm.

    Args:
        reader: `module:function` that returns `packed(model)`; imported in the reading process.
        path: the file.
        options: keyword arguments of the function, plain data.

    Raises:
        ModelError: E1470, the file takes too much memory or time, or crashes its reader; E1471, it
            would do something else than be read; and what the reader raises.
    """
    content = give_arrays(*read_plain(reader, path, options))
    said = {str(field): str(who) for field, who in content.pop("said").items()}
    return replace(model_of(content), said=said)


def packed(model: Model) -> tuple[Any, list[AnyArray]]:
    """Return a model as plain data and arrays; readers answer with it."""
    arrays: list[AnyArray] = []
    return take_arrays({**content_of(model), "said": dict(model.said)}, arrays), arrays
