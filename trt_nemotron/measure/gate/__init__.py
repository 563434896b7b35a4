"""Budgets, bounds and the verdict."""
