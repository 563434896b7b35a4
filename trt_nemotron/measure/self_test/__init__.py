"""The gate tried on purpose: servers of known timing and known faults, from client to verdict."""
