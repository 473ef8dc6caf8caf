"""What is held against something that we did not make: the official SDK, its types, the real server."""
