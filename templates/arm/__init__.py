"""The language of ARM deployments: parameters, variables, expressions, resources."""
