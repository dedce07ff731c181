"""The terminal view of `leakhunt live`: a model of a run folder that grows, and a thin textual app over it."""
