"""The warehouse port: facts in, features out, parts merged. Nothing of Dagster's."""
