"""The hall: `check` runs every stage in a row; the only place where the two wings meet."""
