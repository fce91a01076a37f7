"""The files of jobs: uploaded videos, rendered parts, covers and previews, by key.

    uploads/JOB/source                    the video as it was sent
    jobs/JOB/part-001.ATTEMPT.mp4         a rendered part; its cover, preview and reports beside it

Nothing else knows where the bytes are. `keys` makes the names, `storage` is the contract, `local` keeps the files in a
directory. No database, no settings, no video libraries.
"""
