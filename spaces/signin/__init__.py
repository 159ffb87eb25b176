"""Programs sign in without a token that somebody stored: with their user's consent in a browser, or as a CI
job that a trusted issuer vouches for.

Django views in web processes; consent is `accounts.devices`, trust `spaces.signin.publishers`."""
