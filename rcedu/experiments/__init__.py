"""Questions asked of a domain, each in a room of its own."""
