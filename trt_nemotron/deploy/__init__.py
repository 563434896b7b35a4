"""From facts to a running endpoint: checkpoint, plan, bundle, runtimes, serving."""
