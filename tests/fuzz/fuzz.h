/* What the fuzz targets of messages share. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds also in builds without assertions. */
#define CHECK(ok) \
	do { \
		if (!(ok)) \
			abort(); \
	} while (0)

#endif
