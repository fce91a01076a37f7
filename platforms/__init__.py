"""Other people's servers: TikTok, Instagram, YouTube, OAuth, the webhook sender, the guard against private addresses.

No database, no queue, no settings: whatever is needed comes as an argument. Nothing is imported here, so that a caller
who wants only the webhook sender does not pay for the rest. The door to the publishers is `platforms.registry`.
"""
