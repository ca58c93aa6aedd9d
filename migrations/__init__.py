"""The migrations of the store's database, and the views that are its public contract."""
