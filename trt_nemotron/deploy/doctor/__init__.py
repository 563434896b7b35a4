"""The doctor: what a machine lacks for a target, with evidence and remedy, before any start."""
