"""The mock of TikTok."""
