"""Servers in containers: which engine, which image, with which arguments, and none left behind."""
