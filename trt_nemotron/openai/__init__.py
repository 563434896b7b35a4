"""The wire: requests, server-sent events and chunks of an OpenAI-compatible endpoint."""
