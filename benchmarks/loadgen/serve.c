/* The far applications: echo (or `request` bytes in, `response` bytes out), sink, source, and a web server. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_BYTES (32 * 1024) /* of an answer's body, written with its head */

struct session {
    int fd;                 /* a listener when `accepting` */
    bool accepting, input_ended;
    uint64_t received;      /* of the web: bytes of `head` */
    uint64_t owed;          /* bytes of answers still to be written */
    const char *out;        /* of the web: head and first bytes of an answer, written before what is owed */
    size_t out_left;
    char *head;             /* of the web: what has come of a request, HEAD_BYTES at most */
};

/* Serves one readable or writable session; false: it is over. */
typedef bool (*behaviour)(struct session *session, const struct options *options);

static bool write_owed(struct session *session) {
    while (session->owed > 0) {
        size_t part = session->owed < SCRATCH_BYTES ? (size_t)session->owed : SCRATCH_BYTES;
        ssize_t sent = send(session->fd, request_bytes(), part, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN;
        session->owed -= (uint64_t)sent;
    }
    return true;
}

static bool echo(struct session *session, const struct options *options) {
    for (;;) {
        if (!write_owed(session)) return false;
        if (session->owed > 0) return true; /* the next edge says that there is room */
        if (session->input_ended) return false;
        ssize_t got = recv(session->fd, scratch(), SCRATCH_BYTES, 0);
        if (got < 0) return errno == EAGAIN;
        if (got == 0) session->input_ended = true;
        session->received += (uint64_t)(got > 0 ? got : 0);
        uint64_t whole = session->received / options->request;
        session->received -= whole * options->request;
        session->owed += whole * options->response;
    }
}

static bool sink(struct session *session, const struct options *options) {
    (void)options;
    for (;;) {
        ssize_t got = recv(session->fd, scratch(), SCRATCH_BYTES, 0);
        if (got < 0) return errno == EAGAIN;
        if (got == 0) break;
        session->received += (uint64_t)got;
    }
    send(session->fd, &session->received, sizeof session->received, MSG_NOSIGNAL);
    return false;
}

static bool source(struct session *session, const struct options *options) {
    (void)options;
    session->owed = UINT64_MAX;
    ssize_t got = recv(session->fd, scratch(), SCRATCH_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
    return write_owed(session);
}

/* Head and first bytes of an answer with `body` bytes, made once for each size. */
static const char *answer_of(size_t body, size_t *length) {
    static struct { size_t body, length; char *bytes; } known[8];
    size_t place = 0, first = body < FIRST_BYTES ? body : FIRST_BYTES;
    while (place < 7 && known[place].bytes && known[place].body != body) place++;
    if (!known[place].bytes || known[place].body != body) {
        free(known[place].bytes);
        known[place].body = body;
        if (!(known[place].bytes = malloc(128 + first))) die("out of memory");
        known[place].length = (size_t)sprintf(
            known[place].bytes, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %zu\r\n\r\n", body);
        memcpy(known[place].bytes + known[place].length, request_bytes(), first);
        known[place].length += first;
    }
    *length = known[place].length;
    return known[place].bytes;
}

/* Takes one request, without a body, off the head buffer; the path says how much it wants: `...bytes=N`. */
static bool take_request(struct session *session, const struct options *options) {
    char *end = memmem(session->head, session->received, "\r\n\r\n", 4);
    if (!end) return false;
    *end = 0;
    const char *said = strstr(session->head, "bytes=");
    size_t body = said ? strtoul(said + 6, NULL, 10) : options->response;
    size_t rest = session->received - (size_t)(end + 4 - session->head);
    memmove(session->head, end + 4, rest);
    session->received = rest;
    session->out = answer_of(body, &session->out_left);
    session->owed = body < FIRST_BYTES ? 0 : body - FIRST_BYTES;
    return true;
}

static bool web(struct session *session, const struct options *options) {
    if (!session->head && !(session->head = calloc(1, HEAD_BYTES + 1))) die("out of memory");
    for (;;) {
        while (session->out_left > 0) {
            ssize_t sent = send(session->fd, session->out, session->out_left, MSG_NOSIGNAL);
            if (sent < 0) return errno == EAGAIN;
            session->out += sent;
            session->out_left -= (size_t)sent;
        }
        if (!write_owed(session)) return false;
        if (session->owed > 0) return true;
        if (take_request(session, options)) continue;
        if (session->received == HEAD_BYTES) return false;
        ssize_t got = recv(session->fd, session->head + session->received, HEAD_BYTES - session->received, 0);
        if (got <= 0) return got < 0 && errno == EAGAIN;
        session->received += (uint64_t)got;
    }
}

static void accept_all(int epoll, const struct session *listener) {
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct session *session = calloc(1, sizeof *session);
        session->fd = fd;
        watch(epoll, fd, session);
    }
}

static _Noreturn void serve(const struct options *options, behaviour behave) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct session *listeners = calloc((size_t)options->ports, sizeof *listeners);
    for (int i = 0; i < options->ports; i++) {
        listeners[i].accepting = true;
        listeners[i].fd = open_listener(&options->target, i);
        watch(epoll, listeners[i].fd, &listeners[i]);
    }
    printf("ready\n");
    fflush(stdout);
    struct epoll_event events[256];
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct session *session = events[i].data.ptr;
            if (session->accepting) {
                accept_all(epoll, session);
            } else if (!behave(session, options)) {
                close(session->fd);
                free(session->head);
                free(session);
            }
        }
    }
}

int serve_echo(const struct options *options) { serve(options, echo); }
int serve_sink(const struct options *options) { serve(options, sink); }
int serve_source(const struct options *options) { serve(options, source); }
int serve_web(const struct options *options) { serve(options, web); }
