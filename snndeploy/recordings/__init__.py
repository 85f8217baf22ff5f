"""Recordings of other programs as arrays [T, B, …]: events, images, data beside NIR graphs.

`snndeploy.samples` looks at a file's first bytes and asks here; what is read is bounded before it
is allocated, and nothing of a file is run.
"""
