"""Several hosts, one run: what the master and its worker hosts say to each other, and how rows come to the master whole.

``wire`` is the sealed connection, ``messages`` what is said over it, ``roster`` what the master knows, ``parcels`` files in
chunks. Who says what and when is the conductor's (``loadtests/conductor/master.py``, ``worker.py``).
"""

from __future__ import annotations
