"""From text to a ModelSpec: reading with positions and budgets, expressions, the schema."""
