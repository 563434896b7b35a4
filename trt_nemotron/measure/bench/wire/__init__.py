"""The hot path: prebuilt requests, non-blocking sockets, bytes and stamps; read only afterwards."""
