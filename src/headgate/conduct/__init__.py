"""Where the parts meet: run, score and gate; the only code that knows both the engine and the store."""
