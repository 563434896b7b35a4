"""Start a server, wait until it is ready, watch it, stop it; leave nothing behind."""
