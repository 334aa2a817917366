"""The engine: the only code that waits on a model. It yields results and does not know where they are kept."""
