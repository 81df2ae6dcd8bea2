"""The revisions that a service hosts: how one comes up, takes another one's place, and ends."""
