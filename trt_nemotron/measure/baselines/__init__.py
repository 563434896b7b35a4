"""Baselines: runs that later ones are compared with, kept with their history."""
