"""How far whole numbers go before they are not the same everywhere."""

EXACT_MAX = 2**53
"""Up to here whole numbers are exact as floats, and the same in every reader of JSON."""
