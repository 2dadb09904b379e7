"""Tests of `netspec fuzz`."""
