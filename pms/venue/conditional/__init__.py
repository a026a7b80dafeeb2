"""Conditional (algo) orders: they wait outside the book until a price lets an ordinary order out."""
