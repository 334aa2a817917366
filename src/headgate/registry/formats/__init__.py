"""One reader per file format of prompts: text in, messages and parameters out."""
