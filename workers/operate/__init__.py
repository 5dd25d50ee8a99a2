"""The outside: command line, client, admin, embedded servers, doctor and demo."""
