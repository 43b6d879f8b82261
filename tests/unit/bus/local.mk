# tests/unit/bus: a test for each file of src/bus, over a fake broker at the other end of a socketpair
include tests/fake/local.mk

BUS_TESTS = \
	tests/unit/bus/test_calls \
	tests/unit/bus/test_cast \
	tests/unit/bus/test_chan \
	tests/unit/bus/test_codec \
	tests/unit/bus/test_conn \
	tests/unit/bus/test_content \
	tests/unit/bus/test_hello \
	tests/unit/bus/test_ladder \
	tests/unit/bus/test_publish \
	tests/unit/bus/test_ring \
	tests/unit/bus/test_table \
	tests/unit/bus/test_target \
	tests/unit/bus/test_topo
check_PROGRAMS += $(BUS_TESTS)
TESTS += $(BUS_TESTS)
EXTRA_DIST += tests/unit/bus/fixture.h tests/unit/bus/recorder.h

BUS_TEST_LIBS = tests/fake/libfakebroker.a $(LIBS_BUS) $(CMOCKA_LIBS)
tests_unit_bus_test_calls_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_cast_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_chan_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_codec_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_conn_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_content_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_hello_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_ladder_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_publish_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_ring_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_table_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_target_LDADD = $(BUS_TEST_LIBS)
tests_unit_bus_test_topo_LDADD = $(BUS_TEST_LIBS)
