"""Celery tasks: each a few lines around a plain flow that runs on the worker's loop thread."""
