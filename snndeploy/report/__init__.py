"""Reports: tables on the terminal, JSON with a schema version, one self-contained HTML file."""
