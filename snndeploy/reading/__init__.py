"""Files read in a process of their own: models and recordings, by whatever library parses them.

`confined` asks, `process` answers, `transport` is what crosses between them.
"""
