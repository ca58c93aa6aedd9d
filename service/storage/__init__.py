"""The only code that touches disk: the database, the activation summaries and the ledger."""
