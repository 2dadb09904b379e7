"""Weights: what they start from, and files of them."""
