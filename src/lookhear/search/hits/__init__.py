"""What spotting leaves behind: hits in tables, annotation files and a page, each written whole; and the job around it.

``targets`` says what is to be written where, ``job`` runs through the recordings and goes on when it was stopped
(``journal``), ``tables``, ``marks`` and ``page`` are the kinds of files.
"""
