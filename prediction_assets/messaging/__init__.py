"""The messaging port: the Phase 5 completion, its outbox and its publishers. Nothing of Dagster's."""
