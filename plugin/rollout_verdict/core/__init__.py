"""Pure judging: values in, values out. No I/O, clock, environment, threads or third-party packages."""
