/* TLS: certificates made here, a server that is stepped by hand over a socketpair. */
#include "fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "loop/stream.h"

struct cert {
	EVP_PKEY *key;
	X509 *x509;
};

static char dir[] = "/tmp/warren-test-XXXXXX";
static char ca_path[64], client_path[64];
static struct cert ca, client;

static void
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
}

/* A certificate for `names` ("DNS:localhost"), signed by `by` or by itself; from and to are seconds from now. */
static struct cert
make_cert(const char *names, const struct cert *by, bool is_ca, long from, long to)
{
	struct cert c = { EVP_EC_gen("P-256"), X509_new() };
	const struct cert *issuer = by ? by : &c;
	X509_NAME *name = X509_get_subject_name(c.x509);
	static long serial;

	X509_set_version(c.x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x509), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(c.x509), from);
	X509_gmtime_adj(X509_getm_notAfter(c.x509), to);
	X509_set_pubkey(c.x509, c.key);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)(is_ca ? "test CA" : "test"), -1, -1, 0);
	X509_set_issuer_name(c.x509, X509_get_subject_name(issuer->x509));
	if (is_ca)
		extend(c.x509, issuer->x509, NID_basic_constraints, "critical,CA:TRUE");
	if (names)
		extend(c.x509, issuer->x509, NID_subject_alt_name, names);
	assert_true(X509_sign(c.x509, issuer->key, EVP_sha256()) > 0);
	return c;
}

static void
cert_free(struct cert *c)
{
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
}

static void
write_pem(char path[64], const char *name, const struct cert *c)
{
	FILE *f;

	snprintf(path, 64, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	PEM_write_X509(f, c->x509);
	PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
}

static int
setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	ca = make_cert(NULL, NULL, true, -3600, 3600);
	client = make_cert("DNS:client", &ca, false, -3600, 3600);
	write_pem(ca_path, "ca.pem", &ca);
	write_pem(client_path, "client.pem", &client);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(ca_path);
	unlink(client_path);
	rmdir(dir);
	cert_free(&ca);
	cert_free(&client);
	return 0;
}

/* Both sides of one connection. */
struct both {
	struct loop *l;
	struct stream_tls *tls;
	struct stream *s;
	SSL_CTX *server_ctx;
	SSL *server;
	int fd;
	bool server_up;
	struct buf in, server_in;
	int n_close;
	enum err err;
	char why[512];
	size_t pieces;
	bool pause;
};

static void
on_open(void *p)
{
	(void)p;
	fail_msg("%s", "an adopted stream is not opened");
}

static void
on_data(void *p, struct span bytes)
{
	struct both *b = p;

	buf_add(&b->in, bytes);
	b->pieces++;
	if (b->pause)
		stream_pause(b->s, true);
}

static void
on_close(void *p, enum err e, const char *why)
{
	struct both *b = p;

	b->n_close++;
	b->err = e;
	snprintf(b->why, sizeof(b->why), "%s", why);
}

static const struct stream_ops ops = { on_open, on_data, NULL, on_close };

static void
start(struct both *b, struct loop *l, const struct cert *cert, const struct stream_tls_conf *tls,
	const struct stream_conf *conf)
{
	struct stream_conf sc = *conf;
	struct errtext t = { "" };
	int sv[2];

	*b = (struct both){ .l = l };
	if (stream_tls_new(&b->tls, tls, &t) != E_OK)
		fail_msg("%s", t.text);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	b->fd = sv[1];
	fcntl(b->fd, F_SETFL, O_NONBLOCK);
	b->server_ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(b->server_ctx, cert->x509);
	SSL_CTX_use_PrivateKey(b->server_ctx, cert->key);
	b->server = SSL_new(b->server_ctx);
	SSL_set_fd(b->server, b->fd);
	SSL_set_accept_state(b->server);
	sc.tls = b->tls;
	assert_int_equal(stream_adopt(&b->s, l, sv[0], &sc, &ops, b, NULL), E_OK);
}

static void
step(struct both *b)
{
	char piece[4096];
	int n;

	loop_turn(b->l, 0);
	if (!b->server_up && SSL_do_handshake(b->server) == 1)
		b->server_up = true;
	while (b->server_up && (n = SSL_read(b->server, piece, sizeof(piece))) > 0)
		buf_add(&b->server_in, (struct span){ piece, (size_t)n });
}

#define STEP_UNTIL(b, cond) \
	do { \
		int64_t until_ = clock_mono_us() + 10 * 1000 * 1000; \
		while (!(cond)) { \
			if (clock_mono_us() > until_) \
				fail_msg("%s", "waited in vain for " #cond); \
			step(b); \
		} \
	} while (0)

static void
stop(struct both *b)
{
	stream_close(b->s);
	loop_turn(b->l, 0);
	SSL_free(b->server);
	SSL_CTX_free(b->server_ctx);
	close(b->fd);
	stream_tls_free(b->tls);
	buf_release(&b->in);
	buf_release(&b->server_in);
}

static void
both_sides_talk_and_early_writes_wait_for_the_handshake(void **state)
{
	struct cert c = make_cert("DNS:localhost", &ca, false, -60, 3600);
	struct both b;

	start(&b, *state, &c, &(struct stream_tls_conf){ .ca_file = ca_path },
		&(struct stream_conf){ .host = "localhost" });
	assert_int_equal(stream_write(b.s, SPAN("first ")), E_OK);
	assert_int_equal(stream_write(b.s, SPAN("words")), E_OK);
	STEP_UNTIL(&b, b.server_in.len == 11);
	assert_true(span_is(buf_span(&b.server_in), "first words"));
	assert_true(SSL_version(b.server) >= TLS1_2_VERSION);
	assert_string_equal(SSL_get_servername(b.server, TLSEXT_NAMETYPE_host_name), "localhost");
	assert_int_equal(SSL_write(b.server, "answer", 6), 6);
	STEP_UNTIL(&b, b.in.len == 6);
	SSL_shutdown(b.server);
	STEP_UNTIL(&b, b.n_close);
	assert_int_equal(b.err, E_CLOSED);
	stop(&b);
	cert_free(&c);
}

static void
an_end_without_goodbye_is_an_ordinary_end(void **state)
{
	struct cert c = make_cert("DNS:localhost", &ca, false, -60, 3600);
	struct both b;

	start(&b, *state, &c, &(struct stream_tls_conf){ .ca_file = ca_path },
		&(struct stream_conf){ .host = "localhost" });
	STEP_UNTIL(&b, b.server_up);
	shutdown(b.fd, SHUT_RDWR);
	STEP_UNTIL(&b, b.n_close);
	assert_int_equal(b.err, E_CLOSED);
	assert_string_equal(b.why, "the peer closed the connection");
	stop(&b);
	cert_free(&c);
}

static void
much_data_passes_in_both_directions_with_pauses(void **state)
{
	struct cert c = make_cert("DNS:localhost", &ca, false, -60, 3600);
	struct both b;
	size_t size = 1024 * 1024, sent = 0;
	char *big = alloc_bytes(size);

	for (size_t i = 0; i < size; i++)
		big[i] = (char)(i * 11 + i / 253);
	start(&b, *state, &c, &(struct stream_tls_conf){ .ca_file = ca_path },
		&(struct stream_conf){ .host = "localhost" });
	SSL_set_mode(b.server, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	for (size_t i = 0; i < size; i += 1000)
		assert_int_equal(
			stream_write(b.s, (struct span){ big + i, size - i < 1000 ? size - i : 1000 }), E_OK);
	STEP_UNTIL(&b, b.server_in.len == size);
	assert_memory_equal(b.server_in.data, big, size);
	b.pause = true;
	while (b.in.len < size) {
		int n = sent < size ? SSL_write(b.server, big + sent, (int)(size - sent)) : 0;

		sent += n > 0 ? (size_t)n : 0;
		step(&b);
		/* Paused after each piece: what is decrypted already must not be forgotten. */
		stream_pause(b.s, false);
	}
	assert_memory_equal(b.in.data, big, size);
	stop(&b);
	cert_free(&c);
	alloc_free(big);
}

static void
expect_refused(void **state, const struct cert *c, const char *host, const char *words)
{
	struct both b;

	start(&b, *state, c, &(struct stream_tls_conf){ .ca_file = ca_path },
		&(struct stream_conf){ .host = host });
	assert_int_equal(stream_write(b.s, SPAN("secret")), E_OK);
	STEP_UNTIL(&b, b.n_close);
	assert_int_equal(b.err, E_REFUSED);
	assert_string_equal(b.why, words);
	assert_int_equal(b.server_in.len, 0);
	stop(&b);
}

static void
a_wrong_certificate_is_refused_and_why_is_told(void **state)
{
	struct cert expired = make_cert("DNS:localhost", &ca, false, -7200, -3600);
	struct cert early = make_cert("DNS:localhost", &ca, false, 3600, 7200);
	struct cert other = make_cert("DNS:example.org", &ca, false, -60, 3600);
	struct cert self = make_cert("DNS:localhost", NULL, false, -60, 3600);
	struct cert stranger_ca = make_cert(NULL, NULL, true, -60, 3600);
	struct cert stranger = make_cert("DNS:localhost", &stranger_ca, false, -60, 3600);

	expect_refused(state, &expired, "localhost", "TLS: the certificate has expired");
	expect_refused(
		state, &early, "localhost", "TLS: the certificate is not valid yet (is the clock right?)");
	expect_refused(state, &other, "localhost", "TLS: the certificate is not for \"localhost\"");
	expect_refused(state, &other, "127.0.0.1", "TLS: the certificate is not for \"127.0.0.1\"");
	expect_refused(state, &self, "localhost",
		"TLS: the certificate is self-signed and not among the trusted ones (set the CA file)");
	/* The stranger's authority has the name of ours, so it is its signature that does not fit. */
	expect_refused(state, &stranger, "localhost",
		"TLS: the certificate was refused: certificate signature failure");
	cert_free(&expired);
	cert_free(&early);
	cert_free(&other);
	cert_free(&self);
	cert_free(&stranger);
	cert_free(&stranger_ca);
}

static void
an_unknown_authority_is_named_as_such(void **state)
{
	struct cert c = make_cert("DNS:localhost", &ca, false, -60, 3600);
	struct both b;

	/* Trust the client's certificate file, which also holds no CA. */
	start(&b, *state, &c, &(struct stream_tls_conf){ .ca_file = client_path },
		&(struct stream_conf){ .host = "localhost" });
	STEP_UNTIL(&b, b.n_close);
	assert_string_equal(
		b.why, "TLS: the certificate is from an authority that is not trusted (set the CA file)");
	stop(&b);
	cert_free(&c);
}

static void
an_address_is_matched_against_the_addresses(void **state)
{
	struct cert c = make_cert("IP:127.0.0.1,IP:::1", &ca, false, -60, 3600);
	struct both b;

	start(&b, *state, &c, &(struct stream_tls_conf){ .ca_file = ca_path },
		&(struct stream_conf){ .host = "127.0.0.1" });
	STEP_UNTIL(&b, b.server_up);
	/* SNI is for names only. */
	assert_null(SSL_get_servername(b.server, TLSEXT_NAMETYPE_host_name));
	stop(&b);
	start(&b, *state, &c, &(struct stream_tls_conf){ .ca_file = ca_path },
		&(struct stream_conf){ .host = "::1" });
	STEP_UNTIL(&b, b.server_up);
	stop(&b);
	cert_free(&c);
}

static void
no_verify_takes_any_certificate(void **state)
{
	struct cert c = make_cert("DNS:elsewhere", NULL, false, -7200, -3600);
	struct both b;

	start(&b, *state, &c, &(struct stream_tls_conf){ .no_verify = true },
		&(struct stream_conf){ .host = "localhost" });
	assert_int_equal(stream_write(b.s, SPAN("x")), E_OK);
	STEP_UNTIL(&b, b.server_in.len == 1);
	stop(&b);
	cert_free(&c);
}

static void
the_client_shows_its_certificate_when_asked(void **state)
{
	struct cert c = make_cert("DNS:localhost", &ca, false, -60, 3600);
	struct both b;
	X509 *shown;

	start(&b, *state, &c, &(struct stream_tls_conf){ .ca_file = ca_path, .cert_file = client_path },
		&(struct stream_conf){ .host = "localhost" });
	SSL_set_verify(b.server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(b.server_ctx), ca.x509);
	STEP_UNTIL(&b, b.server_up);
	shown = SSL_get1_peer_certificate(b.server);
	assert_int_equal(X509_cmp(shown, client.x509), 0);
	X509_free(shown);
	stop(&b);
	cert_free(&c);
}

static void
a_peer_without_tls_is_told_as_such(void **state)
{
	struct both b;

	start(&b, *state, &ca, &(struct stream_tls_conf){ .ca_file = ca_path },
		&(struct stream_conf){ .host = "localhost" });
	loop_turn(b.l, 0);
	assert_int_equal(write(b.fd, "-ERR unknown command\r\n", 22), 22);
	TURN_UNTIL(b.l, b.n_close);
	assert_int_equal(b.err, E_REFUSED);
	assert_string_equal(b.why, "TLS: the peer does not speak TLS on this port");
	stop(&b);
}

static void
a_peer_that_leaves_during_the_handshake(void **state)
{
	struct both b;

	start(&b, *state, &ca, &(struct stream_tls_conf){ .ca_file = ca_path },
		&(struct stream_conf){ .host = "localhost" });
	loop_turn(b.l, 0);
	shutdown(b.fd, SHUT_RDWR);
	TURN_UNTIL(b.l, b.n_close);
	assert_int_equal(b.err, E_CLOSED);
	stop(&b);
}

static void
a_handshake_has_a_deadline(void **state)
{
	struct both b;

	clock_fake(0, 1);
	start(&b, *state, &ca, &(struct stream_tls_conf){ .ca_file = ca_path },
		&(struct stream_conf){ .host = "localhost", .connect_ms = 500 });
	loop_turn(b.l, 0);
	clock_fake(499 * 1000, 1);
	loop_turn(b.l, 0);
	assert_int_equal(b.n_close, 0);
	clock_fake(500 * 1000, 1);
	loop_turn(b.l, 0);
	assert_int_equal(b.n_close, 1);
	assert_int_equal(b.err, E_TIMEOUT);
	assert_string_equal(b.why, "no TLS handshake in time");
	stop(&b);
}

static void
files_that_cannot_be_used_are_named(void **state)
{
	struct stream_tls *tls;
	struct errtext t;

	(void)state;
	assert_int_equal(
		stream_tls_new(&tls, &(struct stream_tls_conf){ .ca_file = "/no/ca.pem" }, &t), E_CONF);
	assert_null(tls);
	assert_non_null(strstr(t.text, "CA file \"/no/ca.pem\""));
	assert_int_equal(
		stream_tls_new(&tls, &(struct stream_tls_conf){ .cert_file = "/no/c.pem" }, &t), E_CONF);
	assert_non_null(strstr(t.text, "certificate file \"/no/c.pem\""));
	assert_int_equal(
		stream_tls_new(&tls, &(struct stream_tls_conf){ .key_file = "/no/k.pem" }, &t), E_CONF);
	assert_int_equal(
		stream_tls_new(
			&tls, &(struct stream_tls_conf){ .cert_file = client_path, .key_file = ca_path }, &t),
		E_CONF);
	assert_non_null(strstr(t.text, "key values mismatch"));
	assert_int_equal(
		stream_tls_new(
			&tls, &(struct stream_tls_conf){ .cert_file = client_path, .key_file = "/no/k" }, &t),
		E_CONF);
	assert_non_null(strstr(t.text, "/no/k"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(both_sides_talk_and_early_writes_wait_for_the_handshake),
		LOOP_TEST(an_end_without_goodbye_is_an_ordinary_end),
		LOOP_TEST(much_data_passes_in_both_directions_with_pauses),
		LOOP_TEST(a_wrong_certificate_is_refused_and_why_is_told),
		LOOP_TEST(an_unknown_authority_is_named_as_such),
		LOOP_TEST(an_address_is_matched_against_the_addresses),
		LOOP_TEST(no_verify_takes_any_certificate),
		LOOP_TEST(the_client_shows_its_certificate_when_asked),
		LOOP_TEST(a_peer_without_tls_is_told_as_such),
		LOOP_TEST(a_peer_that_leaves_during_the_handshake),
		LOOP_TEST(a_handshake_has_a_deadline),
		cmocka_unit_test(files_that_cannot_be_used_are_named),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
