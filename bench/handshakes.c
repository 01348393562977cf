/* Preloaded into wrk: counts its TLS handshakes and how many of them resumed a session, and says so at the end.
 *
 * Left alone, wrk resumes a connection's last session where the server has given it a ticket for that, as some
 * do each time, some every other time, and some never. With FORGET_SESSIONS in the environment each handshake
 * is a whole one; without, each resumes the newest session that has a ticket. Made, and read, by tls.py.
 * It needs no headers of OpenSSL: nothing is known of its objects but their address.
 *
 * A line is added to the file that HANDSHAKES names: how many, how many resumed, the protocol and the cipher of
 * the last one, and what ASKED says.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ssl_st SSL;
typedef struct ssl_session_st SSL_SESSION;
typedef struct ssl_cipher_st SSL_CIPHER;

static _Atomic unsigned long handshakes, resumed;
static const char *_Atomic protocol = "-", *_Atomic cipher = "-";
static _Thread_local SSL_SESSION *newest; /* wrk has several threads where it has several cores */

#define NEXT(result, name, ...) ((result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static void count(SSL *ssl)
{
    handshakes++;
    resumed += NEXT(int, "SSL_session_reused", const SSL *)(ssl) == 1;
    protocol = NEXT(const char *, "SSL_get_version", const SSL *)(ssl);
    cipher = NEXT(const char *, "SSL_CIPHER_get_name", const SSL_CIPHER *)
        (NEXT(const SSL_CIPHER *, "SSL_get_current_cipher", const SSL *)(ssl));
}

int SSL_connect(SSL *ssl)
{
    int result = NEXT(int, "SSL_connect", SSL *)(ssl);
    if (result == 1)
        count(ssl);
    return result;
}

static int has_ticket_of(SSL_SESSION *one, SSL_SESSION *other)
{
    const unsigned char *tickets[2];
    size_t sizes[2];
    NEXT(void, "SSL_SESSION_get0_ticket", const SSL_SESSION *, const unsigned char **, size_t *)
        (one, &tickets[0], &sizes[0]);
    NEXT(void, "SSL_SESSION_get0_ticket", const SSL_SESSION *, const unsigned char **, size_t *)
        (other, &tickets[1], &sizes[1]);
    return sizes[0] == sizes[1] && memcmp(tickets[0], tickets[1], sizes[0]) == 0;
}

/* A session that was resumed is no longer what its ticket says, so it is good for nothing without a new one. */
static SSL_SESSION *next_session(SSL *ssl, SSL_SESSION *given)
{
    SSL_SESSION *own = NEXT(SSL_SESSION *, "SSL_get1_session", SSL *)(ssl), *old = own;
    if (own && NEXT(int, "SSL_SESSION_is_resumable", const SSL_SESSION *)(own) == 1
        && !(given && has_ticket_of(own, given) && NEXT(int, "SSL_session_reused", const SSL *)(ssl) == 1))
        old = newest, newest = own;
    NEXT(void, "SSL_SESSION_free", SSL_SESSION *)(old);
    return newest && !getenv("FORGET_SESSIONS")
        ? NEXT(SSL_SESSION *, "SSL_SESSION_dup", const SSL_SESSION *)(newest) : NULL;
}

int SSL_clear(SSL *ssl) /* wrk calls it between two connections, and twice if it likes */
{
    SSL_SESSION *given = NEXT(void *, "SSL_get_ex_data", const SSL *, int)(ssl, 0);
    SSL_SESSION *next = next_session(ssl, given);
    int result = NEXT(int, "SSL_clear", SSL *)(ssl);
    NEXT(int, "SSL_set_session", SSL *, SSL_SESSION *)(ssl, next);
    NEXT(int, "SSL_set_ex_data", SSL *, int, void *)(ssl, 0, next);
    NEXT(void, "SSL_SESSION_free", SSL_SESSION *)(given);
    return result;
}

__attribute__((destructor)) static void tell(void)
{
    const char *name = getenv("HANDSHAKES"), *asked = getenv("ASKED");
    FILE *file = name ? fopen(name, "a") : NULL;
    if (!file)
        return;
    fprintf(file, "%lu %lu %s %s %s\n", handshakes, resumed, protocol, cipher, asked ? asked : "");
    fclose(file);
}
