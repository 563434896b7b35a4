"""Plots as inline SVG: values in, markup out. Why our own: docs/decisions/0005-report-plots.md."""
