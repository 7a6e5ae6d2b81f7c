"""The AWS wire protocols (rest-json, query, json 1.0 and 1.1), seen from the server, driven by botocore's models."""
