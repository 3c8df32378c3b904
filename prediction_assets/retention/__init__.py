"""What old history is pruned: rules over the stores' ports, one slice at a time.

Here belongs when a snapshot, a closed row, a receipt, a completion message, a dead letter or an alert is old
enough to go. Not here: Dagster's partition keys and runs, and the job that prunes every kind
(``orchestration/pruning.py``).
"""
