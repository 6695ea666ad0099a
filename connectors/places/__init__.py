"""Where remote files lie: the clients that reach them, loaded only when one is asked for."""
