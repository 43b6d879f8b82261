/* Runs a fuzz target on the files of the folders that are given: the corpus without libFuzzer. */
#include "base/base.h"

#include <dirent.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
replay_file(const char *folder, const char *name)
{
	static char path[4096];
	uint8_t *data;
	size_t size;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END) != 0) {
		perror(path);
		return false;
	}
	size = (size_t)ftell(f);
	rewind(f);
	data = malloc(size ? size : 1); /* of exactly this size, for the sanitizer */
	if (!data || fread(data, 1, size, f) != size) {
		perror(path);
		return false;
	}
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return true;
}

static int
replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int n = 0;

	if (!dir) {
		perror(folder);
		return -1;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (!replay_file(folder, entry->d_name)) {
			closedir(dir);
			return -1;
		}
		n++;
	}
	closedir(dir);
	return n;
}

int
main(int argc, char **argv)
{
	int n;

	for (int i = 1; i < argc; i++) {
		n = replay_folder(argv[i]);
		printf("%s: %d files\n", argv[i], n);
		if (n <= 0)
			return 1; /* a target without a corpus tests nothing */
	}
	return 0;
}
