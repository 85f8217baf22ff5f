"""Shared by all suites; its place makes the modules beside it (networks) importable."""
