"""A test of the whole machine under random faults: uploads, kills, full disks, clock jumps, cut platforms.

    machine  the machine under test (`scripts/serve`) and the mock platforms, each in processes of its own
    clips    the videos, and files that are none
    uploads  clients, slow and hostile ones too; each accepted upload is recorded
    faults   what is injected, each in a lane of its own; all of it comes from one seed
    evidence what the mock platforms, the API, the disk and the database show at the end
    checks   whether that is right; pure functions

The verdict relies on the records of the clients and of the mock platforms, not on the machine's database.
"""
