"""The load of one run from several processes, on one clock."""
