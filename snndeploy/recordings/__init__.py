"""Recordings of other programs as arrays [T, B, …]: events, images, data beside NIR graphs.

`snndeploy.samples` looks at a file's first bytes and asks here. Libraries parse files in the
reading process (`read_packed`), which answers with arrays as the file holds them; they are checked
again, binned and scaled by whoever asked (`read_confined`). What is read is bounded before it is
allocated.
"""
