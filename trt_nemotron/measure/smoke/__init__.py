"""Named checks that an endpoint answers rightly, each with its evidence."""
