# docs: for people, installed; a line for each page
dist_doc_DATA = README.md ARCHITECTURE.md
dist_doc_DATA += docs/canvas.md
dist_doc_DATA += docs/coming-from-celery.md
dist_doc_DATA += docs/dead-letters.md
dist_doc_DATA += docs/periodic-tasks.md
dist_doc_DATA += docs/rate-limits.md
dist_doc_DATA += docs/remote-control.md
dist_doc_DATA += docs/runner-protocol.md
dist_doc_DATA += docs/tasks-in-c.md
dist_doc_DATA += docs/tasks-in-python.md
dist_doc_DATA += docs/workers.md
