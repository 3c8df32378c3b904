"""The gcp profile: the ports of :mod:`prediction_assets.stores.protocols` on BigQuery, Firestore and Pub/Sub.

This room alone imports ``google.*``: it opens the clients, calls them with one retry, and translates their errors.
What doesn't belong here: tables and statements, which both profiles share (``stores.sql``), and every decision about a
slate (``slate``).
"""
