"""The command line: one thin file per command; heavy imports only when a command runs."""
