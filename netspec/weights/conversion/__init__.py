"""Weights of other programs: their files are read in a process of its own, their layers matched with ours."""
