"""The bill of materials of a bundle: what it consists of and what it needs, as CycloneDX has it."""
