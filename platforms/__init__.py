"""Code that calls other people's servers: the platforms, their logins, and webhook delivery.

    registry             the platforms, by name: one line a platform
    definition           what a platform's package declares
    contract             the protocol of all publishers: a post as a state machine of short steps
    oauth                the protocol of all logins
    errors, error_table  errors, classed by what the caller does next
    tiktok, instagram, youtube   one package a platform
    http                 the client, with its limits and address checks
    webhook              signed delivery of events
    mock                 a local server that imitates all platforms

The package has no database, no queue and no settings: callers pass whatever is needed as arguments. This module imports
nothing, so that a caller who needs only webhook delivery loads only that.
"""
