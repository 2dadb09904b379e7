"""What is read off a graph without running it: counts, shapes, FLOPs, memory."""
