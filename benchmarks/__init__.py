"""`make bench`: compare the speed and memory of evalwire with limits and with other libraries, on this machine."""
