"""The HTTP API: a Falcon application served by waitress.

    __main__ ─▶ server ─▶ app ─▶ resources/ ─▶ uploads/ ─▶ http/

`resources` has the resources of all routes, `uploads` receives videos, `http` has authentication, problem documents and
other parts that know nothing of jobs. Each package imports only from those to its right. Of a video's content only the
first 64 bytes are read.
"""
