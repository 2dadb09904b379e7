"""One table of cases that every backend is tested against."""
