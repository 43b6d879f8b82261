# tests/unit/base: a test for each file of src/base
BASE_TESTS = \
	tests/unit/base/test_alloc \
	tests/unit/base/test_backoff \
	tests/unit/base/test_base \
	tests/unit/base/test_buf \
	tests/unit/base/test_clock \
	tests/unit/base/test_date \
	tests/unit/base/test_err \
	tests/unit/base/test_id \
	tests/unit/base/test_js \
	tests/unit/base/test_jscan \
	tests/unit/base/test_jscan_iter \
	tests/unit/base/test_lamport \
	tests/unit/base/test_list \
	tests/unit/base/test_log \
	tests/unit/base/test_map \
	tests/unit/base/test_number \
	tests/unit/base/test_quantity \
	tests/unit/base/test_text \
	tests/unit/base/test_time \
	tests/unit/base/test_url \
	tests/unit/base/test_utf8
check_PROGRAMS += $(BASE_TESTS)
TESTS += $(BASE_TESTS)
EXTRA_DIST += tests/lib/t.h tests/lib/torture.h

tests_unit_base_test_alloc_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_backoff_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_base_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_buf_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_clock_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_date_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_err_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_id_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_js_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_jscan_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_jscan_iter_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_lamport_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_list_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_log_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_map_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_number_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_quantity_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_text_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_time_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_url_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
tests_unit_base_test_utf8_LDADD = $(LIBS_BASE) $(CMOCKA_LIBS)
