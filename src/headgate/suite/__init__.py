"""What the user declares: suite file, items, prompts and models, validated."""
