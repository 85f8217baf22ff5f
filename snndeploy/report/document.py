"""The frame of every JSON report: one document on stdout, keys sorted, with a schema version."""

import json
import sys
from collections.abc import Mapping
from typing import Any

SCHEMA = 1


def print_json(record: Mapping[str, Any]) -> None:
    """Print a record on stdout."""
    document = {"schema_version": SCHEMA, **record}
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True) + "\n")
