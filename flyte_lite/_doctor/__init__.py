"""Why a server can't be used: each step on the way to it, by the code that calls go through."""
