"""From probes to findings: what keeps a net from training, where, and what to do about it."""
