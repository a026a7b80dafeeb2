"""Every shape and name that crosses a process boundary: commands, results, events, journal, Redis keys."""
