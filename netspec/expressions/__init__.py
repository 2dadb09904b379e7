"""The `$(...)` of the language: our own parser and calculator; nothing is ever evaluated by Python."""
