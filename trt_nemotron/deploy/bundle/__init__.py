"""A bundle: a folder that holds everything needed to start a model, and proves that it is whole."""
