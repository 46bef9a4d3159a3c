"""Files, folders and processes. Imports nothing else of ours."""
