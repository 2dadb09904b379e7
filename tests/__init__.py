"""The tests: core (no framework), conformance (every backend), backends (what only one has)."""
