"""What waits in the triggerer. Triggers carry ids and URIs, never objects."""
