"""A measurement in the formats of others: tables, and the results of the field's common tools."""
