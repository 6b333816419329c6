"""This host as a device."""
