"""How the embedded checkpoint is made: its corpus, its tokenizer, its training and its proof.

Not part of the installed package; run from a source checkout with the `training` extra.
"""
