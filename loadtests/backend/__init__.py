"""The embedded reference backend: pure parts by the audited system's names, under one asyncio shell (``server``)."""
