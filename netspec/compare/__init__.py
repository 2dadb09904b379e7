"""Verification: every backend is run beside the float64 reference, and the first node that differs is named."""
