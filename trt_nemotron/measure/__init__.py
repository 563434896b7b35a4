"""From a URL to a verdict; serves any OpenAI-compatible endpoint and knows nothing of `deploy`."""
