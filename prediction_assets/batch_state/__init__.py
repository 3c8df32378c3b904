"""The batch-state port: who is expected on a slate and what became of each. Nothing of Dagster's."""
