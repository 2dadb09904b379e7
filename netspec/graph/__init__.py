"""The typed graph between the language and the backends: primitives, symbolic shapes, layers kept whole."""
