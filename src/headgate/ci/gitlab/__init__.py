"""A verdict in GitLab's own forms, a note on the merge request, and runs in the package registry."""
