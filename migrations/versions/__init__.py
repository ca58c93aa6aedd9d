"""One file a version of the schema; they import nothing from the service."""
