"""The history of the tables, run by Alembic.

To change the tables: edit ``tables.py``, write ``versions/r<number>_<what>.py`` with the next number as its revision,
and add the number to ``schema.REVISIONS``. A released migration is never edited.
"""
