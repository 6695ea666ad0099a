"""STIX through the product, from a folder to an export and back."""
