"""The assets, one module per stage of the flow, in the order in which a slate passes them."""
