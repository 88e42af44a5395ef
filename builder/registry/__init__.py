"""The local registry: runs, managed images, galleries, definitions, versions and their replicas.

`records` and `rules` are light; `store` imports SQLAlchemy and is imported only when needed.
"""
