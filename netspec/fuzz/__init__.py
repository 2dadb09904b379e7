"""`netspec fuzz`: random valid specs, run everywhere and compared; each failure is cut down to the smallest spec."""
