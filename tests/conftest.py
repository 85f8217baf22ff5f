"""Shared by all suites; its place makes the modules beside it (networks, chains) importable."""


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden/*.txt anew; read the diff"
    )
