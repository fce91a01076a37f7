"""TikTok: the publisher, its API calls and its login."""
