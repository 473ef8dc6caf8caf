"""An identity provider of OAuth 2.0 for a devbox: `Devbox(auth=True)`.

It gives tokens to programs (RFC 6749, 4.4), to people with a browser (RFC 6749, 4.1 with RFC 7636, 8252 and 9207) and
to people with another device (RFC 8628); it rotates refresh tokens and takes back what it gave (RFC 7009), tells of
tokens (RFC 7662) and of itself (RFC 8414). Who somebody is, nobody checks: a person picks a name. So it shows how
clients sign in, and keeps out only those who do not.

`terms.py` is what a test may set, `clients.py` who asks, `access_tokens.py` and `grants.py` what they get, `devices.py`
and `authorization.py` what people allow, `pages.py` where, `endpoints.py` all of it over HTTP, `issuer.py` the whole;
`external.py` is an identity provider of somebody else.
"""
