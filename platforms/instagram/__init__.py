"""Instagram: the publisher, its API calls and its two logins."""
