"""`make bench`: evalwire's speed and memory beside their limits and beside its peers, measured on this machine."""
