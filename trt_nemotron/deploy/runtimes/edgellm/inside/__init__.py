"""Programs that run inside Edge-LLM's own environment; they import nothing of ours.

Each is run as a file by the environment's interpreter, under `watched.py`, and writes one JSON
file. What they find is judged outside.
"""
