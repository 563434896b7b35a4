"""A configuration held against what a release accepts: findings before minutes of loading."""
