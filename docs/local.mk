# docs: for people, installed; a line for each page
# Under the same names as in the sources, so that links from page to page hold.
dist_doc_DATA = README.md ARCHITECTURE.md
docpagesdir = $(docdir)/docs
dist_docpages_DATA =
dist_docpages_DATA += docs/canvas.md
dist_docpages_DATA += docs/coming-from-celery.md
dist_docpages_DATA += docs/dead-letters.md
dist_docpages_DATA += docs/periodic-tasks.md
dist_docpages_DATA += docs/rate-limits.md
dist_docpages_DATA += docs/remote-control.md
dist_docpages_DATA += docs/runner-protocol.md
dist_docpages_DATA += docs/tasks-in-c.md
dist_docpages_DATA += docs/tasks-in-python.md
dist_docpages_DATA += docs/workers.md
