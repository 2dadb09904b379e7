"""`netspec schema`: the language as JSON Schema, read off the layers that there are."""
