"""The frame of every JSON report: one document on stdout, keys sorted, with a schema version."""

import json
import sys
from collections.abc import Mapping
from typing import Any

SCHEMA = 1


def document(record: Mapping[str, Any]) -> str:
    """Return a record as the text of a document."""
    return json.dumps({"schema_version": SCHEMA, **record}, indent=1, sort_keys=True) + "\n"


def print_json(record: Mapping[str, Any]) -> None:
    """Print a record on stdout."""
    sys.stdout.write(document(record))
