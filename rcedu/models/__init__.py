"""Networks and their parts: a model as one object, surgery, judges, and what a network costs."""
