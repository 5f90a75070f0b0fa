"""Components of single methods: FAM's penalty and its cost, LETS's learned radius, AACE's labels.

Imports `network` and `methods.walker`; a method's own file says where each is used. Start with
`penalty.py`.
"""
