"""The command line: a command parses, calls one public function and prints.

Importing this package imports click and nothing heavier; each command imports what it needs when
it runs.
"""

from snndeploy.cli.main import entry as entry
