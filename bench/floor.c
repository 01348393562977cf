/* The floor: what the kernel's socket calls cost, and nothing above them.
 *
 * epoll_wait, recv, send of one canned answer, on one thread. Of HTTP it knows only that a request head ends
 * with CRLF CRLF, so that split and pipelined requests get the right number of answers. For floor.sh.
 *
 * usage: floor PORT [BODY_SIZE [close]]    the body is BODY_SIZE times the letter x; close: one request each
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FDS = 65536, MAX_EVENTS = 256, MAX_HEAD = 256, PATIENCE_MS = 1000 };

static unsigned char matched[MAX_FDS]; /* how many bytes of CRLF CRLF a connection has sent last */
static char *answer;
static size_t answer_size;
static int closing;

static void make_answer(size_t body_size)
{
    answer = malloc(MAX_HEAD + body_size);
    answer_size = snprintf(answer, MAX_HEAD,
                           "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                           "Content-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n", body_size,
                           closing ? "Connection: close\r\n" : "");
    memset(answer + answer_size, 'x', body_size);
    answer_size += body_size;
}

static int count_heads(int fd, const char *data, ssize_t size)
{
    int heads = 0, at = matched[fd];
    for (ssize_t i = 0; i < size; i++) {
        at = data[i] == "\r\n\r\n"[at] ? at + 1 : data[i] == '\r';
        if (at == 4)
            heads++, at = 0;
    }
    matched[fd] = at;
    return heads;
}

static int send_answer(int fd)
{
    for (size_t sent = 0; sent < answer_size;) {
        ssize_t n = send(fd, answer + sent, answer_size - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += n;
        else if (errno != EAGAIN || poll(&(struct pollfd){fd, POLLOUT, 0}, 1, PATIENCE_MS) != 1)
            return 0;
    }
    return 1;
}

static void serve(int fd)
{
    char data[16384];
    ssize_t size = recv(fd, data, sizeof data, 0);
    int alive = size > 0;
    for (int heads = alive ? count_heads(fd, data, size) : 0; alive && heads; heads--)
        alive = send_answer(fd) && !closing;
    if (!alive)
        close(fd);
}

/* For a client that sends its request at once, in one piece: that is all that needs to be called for it. */
static void serve_one(int fd)
{
    matched[fd] = 0;
    serve(fd);
}

static void watch(int poller, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd >= MAX_FDS || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
        close(fd);
    else
        matched[fd] = 0;
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
    if (closing) /* accepted as soon as there is something to read, or the client has had a second */
        setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) {
        perror("floor");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: floor PORT [BODY_SIZE [close]]\n");
        return 2;
    }
    closing = argc > 3;
    make_answer(argc > 2 ? strtoul(argv[2], NULL, 10) : 1024);
    int listener = listen_on(atoi(argv[1])), poller = epoll_create1(0), fd;
    watch(poller, listener);
    for (struct epoll_event events[MAX_EVENTS];;) {
        int ready = epoll_wait(poller, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != listener)
                serve(events[i].data.fd);
            else
                while ((fd = accept4(listener, NULL, NULL, closing ? 0 : SOCK_NONBLOCK)) >= 0)
                    closing ? serve_one(fd) : watch(poller, fd);
        }
    }
}
