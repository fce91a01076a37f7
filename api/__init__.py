"""The front door for programs: a Falcon application served by waitress.

`app` puts the routes together, one module a resource; `server` is what is particular to waitress; `python -m api` runs
both. Nothing here touches a video's content beyond its first bytes.
"""
