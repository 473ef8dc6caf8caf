"""The one door to the network: HTTP/1.1 with a hard deadline and a cancel on everything that can block."""
