# docs: for people, installed
dist_doc_DATA = README.md ARCHITECTURE.md docs/dead-letters.md docs/runner-protocol.md docs/tasks-in-c.md docs/tasks-in-python.md \
	docs/canvas.md docs/coming-from-celery.md \
	docs/periodic-tasks.md docs/remote-control.md
	docs/coming-from-celery.md \
	docs/periodic-tasks.md docs/remote-control.md docs/workers.md
