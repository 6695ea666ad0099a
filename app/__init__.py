"""Composition: settings, wiring, gateway, worker, client, command line, widgets."""
