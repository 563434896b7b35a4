"""How a bundle's server is started without this tool: a script, a compose file, a systemd unit."""
