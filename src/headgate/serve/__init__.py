"""The small HTTP service behind canaries: it receives traffic, and answers with verdicts that stand ready."""
