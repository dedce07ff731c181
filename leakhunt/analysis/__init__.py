"""From snapshots to evidence: pure functions over arrays, no I/O, no clock."""
