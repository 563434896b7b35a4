"""The measuring client: workload, load, clock, figures."""
