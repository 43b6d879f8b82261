# deploy
systemdunit_DATA = deploy/systemd/warren-worker@.service deploy/systemd/warren-beat.service
EXTRA_DIST += deploy/systemd/warren-worker@.service.in deploy/systemd/warren-beat.service.in deploy/private/warren-servers \
	deploy/private/warren_servers/__init__.py deploy/private/warren_servers/cli.py deploy/private/warren_servers/keeper.py \
	deploy/private/warren_servers/options.py deploy/private/warren_servers/process.py \
	deploy/private/warren_servers/rabbitmq.py deploy/private/warren_servers/redis.py \
	deploy/private/warren_servers/servers.py
CLEANFILES += $(systemdunit_DATA)

deploy/systemd/%.service: $(srcdir)/deploy/systemd/%.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) deploy/systemd && \
		sed -e 's|@bindir[@]|$(bindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' $< >$@.new && mv $@.new $@
