"""Targets and runtime releases: read from `engine_configs/`, typed, each figure with its source."""
