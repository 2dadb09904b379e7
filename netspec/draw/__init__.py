"""Pictures of a graph: folded to an outline, laid out in layers, written as SVG."""
