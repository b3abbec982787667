"""One rule or sweep per file; `rewrite/order.py` says in which order they run."""
