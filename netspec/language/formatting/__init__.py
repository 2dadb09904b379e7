"""`netspec fmt`: the canonical text of a spec, with its comments."""
