"""The local registry: images, galleries, definitions, versions, replicas, runs."""
