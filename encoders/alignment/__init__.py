"""Carrying vectors of different models into one space: heads, and how they are trained and measured."""
