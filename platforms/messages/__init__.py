"""Messages to people by e-mail, ntfy, Telegram and some 130 other services, as Apprise's addresses name them.

Apprise takes 17 MB of memory with three services (measured 2026-11-29). So it is imported only in a child process that
sends one message and ends.
"""
