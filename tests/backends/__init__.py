"""What only one backend has."""
