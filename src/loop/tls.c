/*
 * TLS 1.2 and later with the peer's certificate checked against the name we asked for. A failed handshake is the one error that
 * people meet and must mend by themselves, so its reason is spelled out: expired, other name, unknown authority, no TLS there.
 */
#include "loop/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"

struct stream_tls {
	SSL_CTX *ctx;
};

struct tls {
	SSL *ssl;
	char why[256];
	char host[256];
};

/* The first error of the queue is the cause, later ones are consequences. Empties the queue. */
static const char *
reason(void)
{
	unsigned long code = ERR_get_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;

	if (code && !text && ERR_SYSTEM_ERROR(code))
		text = strerror(ERR_GET_REASON(code));
	ERR_clear_error();
	return text ? text : "unknown error";
}

static enum err
load(SSL_CTX *ctx, const struct stream_tls_conf *conf, struct errtext *t)
{
	if (conf->ca_file) {
		if (SSL_CTX_load_verify_locations(ctx, conf->ca_file, NULL) != 1)
			return err_set(
				t, E_CONF, "cannot read the CA file \"%s\": %s", conf->ca_file, reason());
	} else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
		return err_set(t, E_CONF, "cannot read the system's CA certificates: %s", reason());
	}
	if (conf->key_file && !conf->cert_file)
		return err_set(
			t, E_CONF, "the key file \"%s\" is given without a certificate file", conf->key_file);
	if (!conf->cert_file)
		return E_OK;
	if (SSL_CTX_use_certificate_chain_file(ctx, conf->cert_file) != 1)
		return err_set(
			t, E_CONF, "cannot read the certificate file \"%s\": %s", conf->cert_file, reason());
	/* Both may stand in one file. */
	if (SSL_CTX_use_PrivateKey_file(
		    ctx, conf->key_file ? conf->key_file : conf->cert_file, SSL_FILETYPE_PEM) != 1)
		return err_set(t, E_CONF, "cannot use the key file \"%s\": %s",
			conf->key_file ? conf->key_file : conf->cert_file, reason());
	return E_OK;
}

enum err
stream_tls_new(struct stream_tls **out, const struct stream_tls_conf *conf, struct errtext *t)
{
	struct stream_tls *tls = alloc_zero(sizeof(*tls));
	enum err e = E_NOMEM;

	*out = NULL;
	if (!tls)
		return err_set(t, E_NOMEM, "out of memory for TLS");
	ERR_clear_error();
	tls->ctx = SSL_CTX_new(TLS_client_method());
	if (!tls->ctx) {
		(void)err_set(t, e, "cannot set TLS up: %s", reason());
		goto out;
	}
	SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(tls->ctx, conf->no_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	/* The queue of a stream may move between two attempts at the same write. */
	SSL_CTX_set_mode(tls->ctx,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* AMQP and Redis mark the end of what they say themselves, so a peer that leaves without a TLS goodbye cuts nothing off
	 * unseen. */
	SSL_CTX_set_options(tls->ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
	e = load(tls->ctx, conf, t);
out:
	if (e != E_OK) {
		stream_tls_free(tls);
		return e;
	}
	*out = tls;
	return E_OK;
}

void
stream_tls_free(struct stream_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->ctx);
	alloc_free(tls);
}

static bool
is_address(const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* A certificate names hosts and addresses in different places, and SNI is for names only. */
static bool
expect(SSL *ssl, const char *host)
{
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

enum err
tls_new(struct tls **out, const struct stream_tls *ctx, int fd, const char *host, struct errtext *t)
{
	struct tls *s = alloc_zero(sizeof(*s));

	*out = NULL;
	if (!s)
		return err_set(t, E_NOMEM, "out of memory for TLS");
	ERR_clear_error();
	snprintf(s->host, sizeof(s->host), "%s", host);
	s->ssl = SSL_new(ctx->ctx);
	if (!s->ssl || SSL_set_fd(s->ssl, fd) != 1 || !expect(s->ssl, host)) {
		(void)err_set(t, E_NOMEM, "cannot set TLS up: %s", reason());
		tls_free(s);
		return E_NOMEM;
	}
	SSL_set_connect_state(s->ssl);
	*out = s;
	return E_OK;
}

void
tls_free(struct tls *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	alloc_free(s);
}

/* Words for a certificate that does not pass. */
static void
say_certificate(struct tls *s, long verdict)
{
	switch (verdict) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		snprintf(s->why, sizeof(s->why), "TLS: the certificate has expired");
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		snprintf(s->why, sizeof(s->why),
			"TLS: the certificate is not valid yet (is the clock right?)");
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		snprintf(s->why, sizeof(s->why), "TLS: the certificate is not for \"%.120s\"", s->host);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		snprintf(s->why, sizeof(s->why),
			"TLS: the certificate is self-signed and not among the trusted ones (set the CA file)");
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		snprintf(s->why, sizeof(s->why),
			"TLS: the certificate is from an authority that is not trusted (set the CA file)");
		break;
	default:
		snprintf(s->why, sizeof(s->why), "TLS: the certificate was refused: %s",
			X509_verify_cert_error_string(verdict));
	}
}

static void
say_failure(struct tls *s, int os_error)
{
	unsigned long code = ERR_peek_error();
	long verdict = SSL_get_verify_result(s->ssl);

	if (code == 0 && os_error != 0) {
		snprintf(s->why, sizeof(s->why), "%s", strerror(os_error));
	} else if (verdict != X509_V_OK && SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE) {
		/* The queue may begin with a consequence of this, so it is not asked. */
		say_certificate(s, verdict);
	} else if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) {
		snprintf(s->why, sizeof(s->why), "TLS: the peer does not speak TLS on this port");
	} else {
		snprintf(s->why, sizeof(s->why), "TLS: %s", reason());
	}
	ERR_clear_error();
}

static enum tls_io
verdict_of(struct tls *s, int rc)
{
	int os_error = errno;

	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_END;
	case SSL_ERROR_SYSCALL:
		if (ERR_peek_error() == 0 && os_error == 0)
			return TLS_END;
		say_failure(s, os_error);
		return TLS_FAILED;
	default:
		say_failure(s, 0);
		return TLS_FAILED;
	}
}

enum tls_io
tls_hello(struct tls *s)
{
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(s->ssl);
	return rc == 1 ? TLS_DONE : verdict_of(s, rc);
}

enum tls_io
tls_read(struct tls *s, void *to, size_t room, size_t *n)
{
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_read_ex(s->ssl, to, room, n);
	return rc == 1 ? TLS_DONE : verdict_of(s, rc);
}

enum tls_io
tls_write(struct tls *s, const void *from, size_t len, size_t *n)
{
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_write_ex(s->ssl, from, len, n);
	return rc == 1 ? TLS_DONE : verdict_of(s, rc);
}

bool
tls_has_more(const struct tls *s)
{
	return SSL_pending(s->ssl) > 0;
}

void
tls_bye(struct tls *s)
{
	ERR_clear_error();
	(void)SSL_shutdown(s->ssl);
	ERR_clear_error();
}

const char *
tls_why(const struct tls *s)
{
	return s->why;
}
