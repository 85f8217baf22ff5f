"""sinabs is installed by `make`, not by pip alone: without it its suites are left out."""

import os
from importlib.util import find_spec

is_here = os.environ.get("CI") or find_spec("sinabs")
collect_ignore = (
    []
    if is_here
    else ["test_sinabs_modules.py", "test_exporters_files.py", "test_exported_sinabs.py"]
)
