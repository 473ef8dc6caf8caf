"""Connect (and gRPC-Web) over HTTP/1.1. Knows nothing of Flyte."""
