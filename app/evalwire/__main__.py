"""`python -m evalwire` is `evalwire`."""

from evalwire.cli import main

main()
