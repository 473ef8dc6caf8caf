"""Who calls: tokens from an identity provider, a command or a caller, kept in memory or a store, shown with each call.

Tokens, secrets, codes and verifiers are in no text here: no message, no repr, no log, no pickle.
"""
