"""The vocabulary every package shares: names, calls, time, errors, units."""
