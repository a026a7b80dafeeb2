"""Other Python order books on our frames: one module each, run by an interpreter that has the library.

Nothing here may import the product: these modules run in `.clients/`, where it is not installed.
"""
