# The image that the manifests run. Build it, push it to your registry, and name it in the manifests:
#   docker build -f headgate.Dockerfile -t REGISTRY/headgate:@VERSION@ .
# The suite is not in it: pods mount it.
FROM python:3.12-slim
RUN pip install --no-cache-dir headgate==@VERSION@
USER 65532:65532
ENTRYPOINT []
CMD ["headgate", "--help"]
