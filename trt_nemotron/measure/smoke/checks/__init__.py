"""The checks themselves, a module for each thing they look at; `registry` lists them."""
