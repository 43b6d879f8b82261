# tests/unit/wire
if HAVE_CMOCKA
wire_tests = \
	tests/unit/wire/test_chord \
	tests/unit/wire/test_app \
	tests/unit/wire/test_control \
	tests/unit/wire/test_event \
	tests/unit/wire/test_dead \
	tests/unit/wire/test_field \
	tests/unit/wire/test_fork \
	tests/unit/wire/test_forward_change \
	tests/unit/wire/test_forward \
	tests/unit/wire/test_headers \
	tests/unit/wire/test_inflate \
	tests/unit/wire/test_msg \
	tests/unit/wire/test_note \
	tests/unit/wire/test_outbox \
	tests/unit/wire/test_reply \
	tests/unit/wire/test_repr \
	tests/unit/wire/test_result \
	tests/unit/wire/test_run \
	tests/unit/wire/test_run_encode \
	tests/unit/wire/test_run_reader \
	tests/unit/wire/test_routing \
	tests/unit/wire/test_sig \
	tests/unit/wire/test_task \
	tests/unit/wire/test_task_encode
check_PROGRAMS += $(wire_tests)
TESTS += $(wire_tests)

wire_vectors = tests/unit/wire/vectors.c tests/unit/wire/vectors.h

tests_unit_wire_test_forward_change_SOURCES = tests/unit/wire/test_forward_change.c $(wire_vectors)
tests_unit_wire_test_forward_change_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_fork_SOURCES = tests/unit/wire/test_fork.c $(wire_vectors)
tests_unit_wire_test_fork_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_app_SOURCES = tests/unit/wire/test_app.c
tests_unit_wire_test_app_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_control_SOURCES = tests/unit/wire/test_control.c $(wire_vectors)
tests_unit_wire_test_control_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_event_SOURCES = tests/unit/wire/test_event.c $(wire_vectors)
tests_unit_wire_test_event_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_dead_SOURCES = tests/unit/wire/test_dead.c $(wire_vectors)
tests_unit_wire_test_dead_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_field_SOURCES = tests/unit/wire/test_field.c $(wire_vectors)
tests_unit_wire_test_field_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_forward_SOURCES = tests/unit/wire/test_forward.c
tests_unit_wire_test_forward_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_note_SOURCES = tests/unit/wire/test_note.c
tests_unit_wire_test_note_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_outbox_SOURCES = tests/unit/wire/test_outbox.c
tests_unit_wire_test_outbox_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_inflate_SOURCES = tests/unit/wire/test_inflate.c $(wire_vectors)
tests_unit_wire_test_headers_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_inflate_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_msg_SOURCES = tests/unit/wire/test_msg.c $(wire_vectors)
tests_unit_wire_test_msg_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_reply_SOURCES = tests/unit/wire/test_reply.c $(wire_vectors)
tests_unit_wire_test_reply_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)

tests_unit_wire_test_repr_SOURCES = tests/unit/wire/test_repr.c $(wire_vectors)
tests_unit_wire_test_repr_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_result_SOURCES = tests/unit/wire/test_result.c $(wire_vectors)
tests_unit_wire_test_result_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_run_SOURCES = tests/unit/wire/test_run.c $(wire_vectors)
tests_unit_wire_test_run_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_run_encode_SOURCES = tests/unit/wire/test_run_encode.c $(wire_vectors)
tests_unit_wire_test_run_encode_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_run_reader_SOURCES = tests/unit/wire/test_run_reader.c $(wire_vectors)
tests_unit_wire_test_run_reader_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_routing_SOURCES = tests/unit/wire/test_routing.c $(wire_vectors)
tests_unit_wire_test_routing_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_sig_SOURCES = tests/unit/wire/test_sig.c $(wire_vectors)
tests_unit_wire_test_sig_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_task_SOURCES = tests/unit/wire/test_task.c $(wire_vectors)
tests_unit_wire_test_task_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_task_encode_SOURCES = tests/unit/wire/test_task_encode.c $(wire_vectors)
tests_unit_wire_test_task_encode_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
tests_unit_wire_test_chord_SOURCES = tests/unit/wire/test_chord.c
tests_unit_wire_test_chord_LDADD = $(LIBS_WIRE) $(CMOCKA_LIBS)
endif
