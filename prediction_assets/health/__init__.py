"""The morning check: whether a slate's predictions are there, and if not, what to do.

:mod:`.facts` names what is looked at, :mod:`.reader` gathers it from the stores, :mod:`.checks` judges it with pure
functions, :mod:`.report` says it. The ten functions are in :mod:`.batch_checks`, :mod:`.receipt_checks` and
:mod:`.result_checks`; a :mod:`.judgement` is what each returns. The command line and the asset check
``morning_check`` share all of it. Nothing is read from logs.
"""

WINDOW_MINUTES = 60
"""Failed runs and ticks are looked for so far back: at 07:45 the morning's first run, of 07:00, counts."""
