"""Which models are served: a folder of weights -> versions of models, behind one pointer."""
