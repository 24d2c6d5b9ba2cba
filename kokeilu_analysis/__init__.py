"""Evaluation of Finland's municipal employment trials, with the starting backlog counted."""

__version__ = "0.1.0"
