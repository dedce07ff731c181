"""What grows between the heaps of one process: trends, holders, ages, and all evidence of it."""
