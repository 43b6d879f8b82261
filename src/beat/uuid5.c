/* SHA-1 is part of the format, not a secret: libcrypto's. */
#include "beat/uuid5.h"

#include <openssl/evp.h>

#define SHA1_BYTES 20

enum err
uuid5(const unsigned char space[16], struct span name, char out[ID_UUID_LEN + 1], struct errtext *t)
{
	unsigned char h[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) == 1 &&
		EVP_DigestUpdate(ctx, space, 16) == 1 && EVP_DigestUpdate(ctx, name.ptr, name.len) == 1 &&
		EVP_DigestFinal_ex(ctx, h, &len) == 1 && len == SHA1_BYTES;

	EVP_MD_CTX_free(ctx);
	if (!ok)
		return err_set(t, E_SYS, "libcrypto refuses SHA-1, which ids of periodic tasks are made with");
	h[6] = (unsigned char)((h[6] & 0x0f) | 0x50);
	h[8] = (unsigned char)((h[8] & 0x3f) | 0x80);
	snprintf(out, ID_UUID_LEN + 1, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14],
		h[15]);
	return E_OK;
}
