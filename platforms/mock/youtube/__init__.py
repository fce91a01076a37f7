"""The mock of YouTube and Google."""
