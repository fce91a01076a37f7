"""The mock of Instagram and Facebook."""
